"""Streams an MP4 by RTSP at rtsp://127.0.0.1:PORT/front, from its start for each client, with GStreamer's server.

Debian: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base, -good and -bad. Prints `ready` when it listens.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("port")
parser.add_argument("--codec", choices=["h264", "h265"], default="h264")
parser.add_argument("--login", help="user:password")
parser.add_argument("--udp", action="store_true", help="nothing but UDP")
arguments = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(arguments.port)
codec = arguments.codec
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={arguments.file} ! qtdemux ! {codec}parse ! rtp{codec}pay name=pay0 config-interval=-1 )"
)
if arguments.udp:
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
if arguments.login:
    user, password = arguments.login.split(":")
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions.new()
    permissions.add_permission_for_role("user", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("user", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/front", factory)
if not server.attach(None):
    raise SystemExit(f"port {arguments.port} cannot be had")
print("ready", flush=True)
GLib.MainLoop().run()
