//! Words for content that is sound but not read by this build.

const REMEDY: &str = "use a build with the feature `ffmpeg` or `gstreamer`, or convert it first: \
                      `ffmpeg -i INPUT -c:v libx264 -crf 18 output.mp4`";

/// For a codec by its four-character code.
pub(super) fn codec(code: [u8; 4]) -> String {
    let name = match &code {
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "HEVC (H.265)",
        b"vvc1" | b"vvi1" => "VVC (H.266)",
        b"av01" => "AV1",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"mp4v" | b"XVID" | b"DIVX" | b"DX50" | b"FMP4" => "MPEG-4 Part 2",
        b"s263" | b"h263" | b"H263" => "H.263",
        b"mp1v" | b"mp2v" | b"m2v1" => "MPEG-1/2",
        b"H264" | b"h264" | b"X264" => "H.264 in AVI",
        b"mjpa" | b"mjpb" => "MJPEG in fields",
        b"encv" => "encrypted",
        [b'a', b'p', ..] => "ProRes",
        _ => "an unknown codec",
    };
    let code: String = code
        .iter()
        .flat_map(|b| b.escape_ascii())
        .map(char::from)
        .collect();
    kind(&format!("{name} video (`{code}`)"))
}

/// For any kind of content in words.
pub(super) fn kind(what: &str) -> String {
    format!(
        "{what} is not read by this build, which takes H.264 (8 bits, 4:2:0, progressive) and MJPEG; {REMEDY}"
    )
}

/// For a file by its first bytes.
pub(super) fn container(head: &[u8]) -> String {
    let packet = |at: usize| head.get(at) == Some(&0x47);
    let name = if head.is_empty() {
        return "the file is empty".to_owned();
    } else if head.starts_with(b"\x1a\x45\xdf\xa3") {
        "Matroska or WebM"
    } else if (packet(0) && packet(188)) || (packet(4) && packet(196)) {
        "an MPEG transport stream"
    } else if head.starts_with(b"\0\0\x01\xba") {
        "an MPEG programme stream"
    } else if head.starts_with(b"\0\0\0\x01") || head.starts_with(b"\0\0\x01") {
        "a bare H.264 or HEVC stream"
    } else {
        "content of an unknown kind"
    };
    kind(name)
}
