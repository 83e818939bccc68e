//! Compressed bodies.
//!
//! CSV bodies may be several members or frames in a row; that LZ4 may, too, is what the server's source suggests. A JSON
//! body is one frame: what follows the first zstd or LZ4 frame is dropped without a word, as on the server. A frame that
//! ends too early is an error here; the server would read on forever.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use lz4_flex::frame::FrameDecoder;

/// A compression that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Bzip2,
    Lz4Frame,
    Deflate,
    Zstd,
}

/// Opens a body. `one_frame` stops a zstd or LZ4 body after its first frame.
pub(super) fn open<'a>(codec: Option<Codec>, one_frame: bool, body: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let Some(codec) = codec else { return Ok(Box::new(body)) };
    let mut body = BufReader::with_capacity(128 * 1024, body);
    Ok(match codec {
        Codec::Gzip => Box::new(MultiGzDecoder::new(body)),
        Codec::Bzip2 => Box::new(MultiBzDecoder::new(body)),
        Codec::Lz4Frame => {
            let frames = Frames { source: body, begun: false, starved: false };
            Box::new(Lz4Frames { decoder: FrameDecoder::new(frames), one_frame, over: false })
        }
        Codec::Deflate if has_zlib_header(body.fill_buf()?) => Box::new(ZlibDecoder::new(body)),
        Codec::Deflate => Box::new(DeflateDecoder::new(body)),
        Codec::Zstd => {
            let decoder = zstd::Decoder::with_buffer(body)?;
            if one_frame { Box::new(decoder.single_frame()) } else { Box::new(decoder) }
        }
    })
}

/// Opens a body that is gone over in place, without copying what is not compressed.
pub(super) fn open_buffered<'a>(
    codec: Option<Codec>,
    one_frame: bool,
    body: impl BufRead + 'a,
) -> io::Result<Box<dyn BufRead + 'a>> {
    if codec.is_none() {
        return Ok(Box::new(body));
    }
    Ok(Box::new(BufReader::with_capacity(128 * 1024, open(codec, one_frame, body)?)))
}

/// LZ4 frames. The decoder shows the end of each as the end of everything, and goes on if it is asked again. It also takes
/// the end of the body for the end of a frame that lacks its mark.
struct Lz4Frames<R: Read> {
    decoder: FrameDecoder<Frames<R>>,
    one_frame: bool,
    over: bool,
}

/// What an LZ4 decoder reads from; knows whether it wanted more than there was.
struct Frames<R> {
    source: R,
    begun: bool,
    starved: bool,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.begun |= count > 0;
        self.starved |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.over && !buffer.is_empty() {
            match self.decoder.read(buffer)? {
                0 => {
                    let frames = self.decoder.get_mut();
                    if frames.begun && frames.starved {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an LZ4 frame lacks its end"));
                    }
                    self.over = self.one_frame || frames.source.fill_buf()?.is_empty();
                }
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

/// "Deflate" is used for the bare format and for the one with zlib's two bytes in front.
fn has_zlib_header(bytes: &[u8]) -> bool {
    let valid = |first: u8, second: u8| first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
    matches!(bytes, [first, second, ..] if valid(*first, *second))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// What a codec makes of a text, for tests that take one codec after the other.
    pub(in crate::sandbox) fn compress_with(codec: u8, text: &[u8]) -> Vec<u8> {
        compress([Codec::Gzip, Codec::Bzip2, Codec::Lz4Frame, Codec::Deflate, Codec::Zstd][usize::from(codec)], text)
    }

    fn compress(codec: Codec, text: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            Codec::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(text).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            Codec::Lz4Frame => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(text).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            Codec::Deflate => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            Codec::Zstd => zstd::encode_all(text, 1).expect("memory takes it"),
        }
    }

    fn read(codec: Codec, one_frame: bool, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        open(Some(codec), one_frame, body)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_codec_gives_back_what_went_in() {
        let text = b"one,two\nthree,four\n".repeat(1000);
        for codec in [Codec::Gzip, Codec::Bzip2, Codec::Lz4Frame, Codec::Deflate, Codec::Zstd] {
            assert_eq!(read(codec, true, &compress(codec, &text)).expect("it is whole"), text, "{codec:?}");
        }
    }

    #[test]
    fn a_truncated_body_is_an_error() {
        let text = b"one,two\nthree,four\n".repeat(1000);
        for codec in [Codec::Gzip, Codec::Bzip2, Codec::Lz4Frame, Codec::Deflate, Codec::Zstd] {
            let body = compress(codec, &text);
            for missing in 1..=5 {
                assert!(read(codec, true, &body[..body.len() - missing]).is_err(), "{codec:?} less {missing}");
            }
        }
    }

    #[test]
    fn a_second_frame_is_dropped_from_json_and_kept_for_csv() {
        for codec in [Codec::Zstd, Codec::Lz4Frame] {
            let body = [compress(codec, b"a"), compress(codec, b""), compress(codec, b"b")].concat();
            for (one_frame, expected) in [(true, &b"a"[..]), (false, b"ab")] {
                let mut source = open(Some(codec), one_frame, &*body).expect("memory can be read");
                let mut out = Vec::new();
                // Readers ask again at the end, and it is still the end.
                for _ in 0..3 {
                    source.read_to_end(&mut out).expect("it is whole");
                }
                assert_eq!(out, expected, "{codec:?}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_behind_one_is_dropped_from_json_and_an_error_of_csv() {
        for codec in [Codec::Zstd, Codec::Lz4Frame] {
            let body = [&compress(codec, b"a")[..], b"no frame at all"].concat();
            assert_eq!(read(codec, true, &body).expect("the frame is whole"), b"a", "{codec:?}");
            assert!(read(codec, false, &body).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn deflate_is_read_with_and_without_its_header() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"abc").expect("memory takes it");
        let body = encoder.finish().expect("memory takes it");
        assert_eq!(read(Codec::Deflate, true, &body).expect("it is whole"), b"abc");
    }
}
