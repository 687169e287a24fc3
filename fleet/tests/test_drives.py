"""Manifests, folders and tracks."""

import pytest

from fleet.drives import read_drives
from fleet.replay import reason
from fleet.track import read_fixes, way_km


def test_paths_in_a_manifest_are_seen_from_its_folder(tmp_path):
    file = tmp_path / "drives.csv"
    file.write_text("video,gps,date\na/b.mp4,b.gpx,2026-05-04\ns3://fleet/c.mp4,,\n")
    one, two = read_drives(str(file))
    assert (one.id, one.video, one.gps) == ("b", f"{tmp_path}/a/b.mp4", f"{tmp_path}/b.gpx")
    assert (two.id, two.video, two.gps, two.date) == ("c", "s3://fleet/c.mp4", "", "")


def test_a_folder_gives_its_videos_with_the_tracks_beside_them(tmp_path):
    (tmp_path / "monday").mkdir()
    for name in ("monday/a.mp4", "monday/a.gpx", "b.MOV", "notes.txt"):
        (tmp_path / name).touch()
    b, a = read_drives(str(tmp_path))
    assert (b.id, b.gps) == ("b", "")
    assert (a.id, a.gps) == ("monday-a", f"{tmp_path}/monday/a.gpx")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video\na.mp4\nb/a.mp4\n", "two drives are called a"),
        ("video,id\na.mp4,../x\n", "'../x' is no id"),
        ("video,date\na.mp4,4.5.2026\n", "no date"),
        ("film\na.mp4\n", "the first line names columns"),
        ("video,gps\n,a.gpx\n", "line 2: a video"),
        ("video\n", "no drives"),
    ],
)
def test_a_fault_in_a_manifest_is_named(tmp_path, text, told):
    file = tmp_path / "drives.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=told):
        read_drives(str(file))


NMEA = """$GPRMC,093000.00,A,4858.2000,N,00810.8000,E,29.2,0.0,040526,,,A*59
$GPRMC,093001.00,V,,,,,,,040526,,,N*7B
$GPGGA,093001.00,4858.2081,N,00810.8000,E,1,08,1.0,100.0,M,,,,*00
$GPRMC,093002.00,A,4858.2162,N,00810.8000,E,29.2,0.0,040526,,,A*58
$GPRMC,093009.00,A,4859.2162,N,00810.8000,E,29.2,0.0,040526,,,A*
"""


def test_the_way_ends_with_the_recording(tmp_path):
    lines = [fix_sum(line) for line in NMEA.splitlines()]
    track = tmp_path / "a.nmea"
    track.write_text("\r\n".join(lines))
    fixes = read_fixes(track)
    assert [f[0].second for f in fixes] == [0, 2, 9]
    assert way_km(fixes, 2.0) == pytest.approx(0.030, abs=0.001)  # 0.0162 minutes of latitude
    assert way_km(fixes, 1.0) is None
    assert way_km(fixes, 10.0) > 1.8


def fix_sum(line: str) -> str:
    body = line[1:].partition("*")[0]
    total = 0
    for character in body.encode():
        total ^= character
    return f"${body}*{total:02X}"


def test_a_track_that_cannot_be_read_gives_no_way(tmp_path):
    track = tmp_path / "a.gpx"
    track.write_text("<gpx><trk>")
    assert read_fixes(track) == [] and way_km([], 5.0) is None


def test_equal_errors_of_two_drives_have_one_reason():
    one = "exit code 1: tsedge: VIDEO byte 32: no index (moov); use --like"
    assert reason(one) == reason(one.replace("32", "4096"))
