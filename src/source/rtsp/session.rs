//! The conversation with the camera: what it has to offer, and what is wrong in words that help.

use std::pin::Pin;

use futures_util::StreamExt as _;
use retina::Error;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, Stream, Transport,
    UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use url::Url;

use super::Way;

/// What a camera must be set to.
pub(super) const WANTED: &str = "set the camera's stream to H.264, 8 bits, 4:2:0, progressive";

/// Why there is no picture.
pub(super) enum Fault {
    /// The camera is not there, or not any more.
    Gone(String),
    /// It is there, and must be set otherwise.
    Refused(String),
}

/// Asks for the first H.264 stream and starts it; with its number.
pub(super) async fn connect(
    url: Url,
    login: Option<Credentials>,
    way: Way,
) -> Result<(Demuxed, usize), Fault> {
    let user = login.as_ref().map(|login| login.username.clone());
    let fault = |error: Error| in_words(&error, user.as_deref());
    let options = SessionOptions::default()
        .creds(login)
        .user_agent("tsedge".to_owned());
    let mut session = Session::describe(url, options).await.map_err(fault)?;
    let stream = choose(session.streams()).map_err(Fault::Refused)?;
    let transport = match way {
        Way::Tcp => Transport::default(),
        Way::Udp => Transport::Udp(UdpTransportOptions::default()),
    };
    let setup = SetupOptions::default().frame_format(FrameFormat::MP4);
    let setup = setup.transport(transport);
    session.setup(stream, setup).await.map_err(fault)?;
    let playing = session.play(PlayOptions::default()).await.map_err(fault)?;
    Ok((playing.demuxed().map_err(fault)?, stream))
}

fn choose(streams: &[Stream]) -> Result<usize, String> {
    let videos = || streams.iter().filter(|stream| stream.media() == "video");
    let found = (streams.iter())
        .position(|stream| stream.media() == "video" && stream.encoding_name() == "h264");
    found.ok_or_else(|| {
        let names: Vec<&str> = videos().map(Stream::encoding_name).collect();
        match names[..] {
            [] => "has no video".to_owned(),
            _ => format!("sends {}; {WANTED}", names.join(" and ")),
        }
    })
}

/// The next coded picture.
pub(super) async fn next_frame(demuxed: &mut Demuxed) -> Result<VideoFrame, Fault> {
    loop {
        match Pin::new(&mut *demuxed).next().await {
            Some(Ok(CodecItem::VideoFrame(frame))) => return Ok(frame),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(in_words(&error, None)),
            None => return Err(Fault::Gone("the camera ended the stream".to_owned())),
        }
    }
}

/// The `avcC` box of a stream, once it is known.
pub(super) fn parameters(demuxed: &Demuxed, stream: usize) -> Option<&[u8]> {
    match demuxed.streams().get(stream)?.parameters()? {
        ParametersRef::Video(video) => Some(video.extra_data()),
        _ => None,
    }
}

fn in_words(error: &Error, user: Option<&str>) -> Fault {
    match (error.status_code(), user) {
        (Some(401 | 403), None) => {
            Fault::Refused("asks for a user: give `user` and `password_file`".to_owned())
        }
        (Some(401 | 403), Some(user)) => Fault::Refused(format!(
            "refuses user `{user}` or the password: correct `user` and `password_file`"
        )),
        (Some(404), _) => {
            Fault::Refused("has no stream of this name: correct the path of `url`".to_owned())
        }
        (Some(461), _) => Fault::Refused(
            "does not send this way: give the other `transport`, tcp or udp".to_owned(),
        ),
        // What follows the first line are addresses and offsets.
        _ => {
            let text = error.to_string();
            Fault::Gone(text.lines().next().unwrap_or_default().to_owned())
        }
    }
}
