//! [`Compressor`]: text on its way through a [`Codec`], one frame or member per body.
//!
//! One frame, because a server's JSON path stops reading behind the first zstd or LZ4 frame and says nothing (SR §6.8); the
//! frame must be finished, because a truncated one may keep it reading forever. Nothing in a frame depends on time or
//! chance: the same text gives the same bytes.
//!
//! Compressing takes ten to twenty times the CPU of cutting and sending CSV as it is, so it pays where the network is slower
//! than a few hundred megabytes per second and core, and never on loopback. What one core does with tabular text, measured on
//! TPC-H `lineitem` and taxi trips as CSV:
//!
//! | codec | MB/s in | ratio | why it is set as it is |
//! |---|---|---|---|
//! | LZ4 | 280–340 | 1.4–2.0 | blocks that stand alone cost a few hundredths of the ratio; the C library is 0–5 % faster with blocks of 1 MiB, which is no reason to take it |
//! | zstd 1 | 170–180 | 2.6–3.1 | level -1 costs the same for a quarter less ratio or worse; level 3 takes twice the time for 3 % at most |
//! | gzip 1 | 130–170 | 1.6–2.2 | for servers without the others; level 6 has a quarter of the speed |

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use crate::model::Codec;

/// The level of zstd and of gzip.
const LEVEL: u8 = 1;

/// Compresses what is written to it, into `W`.
///
/// The frame is whole only once [`finish`](Self::finish) has returned.
#[must_use = "without `finish` the frame has no end"]
pub struct Compressor<W: Write> {
    stage: Stage<W>,
}

enum Stage<W: Write> {
    None(W),
    Lz4(Box<FrameEncoder<W>>),
    Zstd(zstd::Encoder<'static, W>),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Compressor<W> {
    /// Starts a frame.
    ///
    /// # Panics
    /// When there is no memory for the codec's tables, as any other allocation would.
    pub fn new(codec: Codec, out: W) -> Self {
        let stage = match codec {
            Codec::None => Stage::None(out),
            Codec::Lz4 => Stage::Lz4(Box::new(FrameEncoder::with_frame_info(lz4_frame(), out))),
            Codec::Zstd => Stage::Zstd(zstd_encoder(out).expect("zstd knows its level 1 and finds memory")),
            Codec::Gzip => Stage::Gzip(GzEncoder::new(out, Compression::new(u32::from(LEVEL)))),
        };
        Self { stage }
    }

    /// Ends the frame and returns where it went.
    ///
    /// # Errors
    /// When the rest of the frame cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self.stage {
            Stage::None(out) => Ok(out),
            Stage::Lz4(encoder) => Ok(encoder.finish()?),
            Stage::Zstd(encoder) => encoder.finish(),
            Stage::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// Matches reach back 64 KiB at most, so that blocks of 1 MiB lose next to nothing by standing alone; larger ones would
/// only take more memory on both sides.
fn lz4_frame() -> FrameInfo {
    FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max1MB).content_checksum(true)
}

fn zstd_encoder<W: Write>(out: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, i32::from(LEVEL))?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match &mut self.stage {
            Stage::None(out) => out.write(text),
            Stage::Lz4(encoder) => encoder.write(text),
            Stage::Zstd(encoder) => encoder.write(text),
            Stage::Gzip(encoder) => encoder.write(text),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stage {
            Stage::None(out) => out.flush(),
            Stage::Lz4(encoder) => encoder.flush(),
            Stage::Zstd(encoder) => encoder.flush(),
            Stage::Gzip(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;
    use lz4_flex::frame::FrameDecoder;
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Codec; 4] = [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Gzip];

    fn compress(codec: Codec, pieces: &[&[u8]]) -> Vec<u8> {
        let mut compressor = Compressor::new(codec, Vec::new());
        for piece in pieces {
            compressor.write_all(piece).unwrap();
        }
        compressor.finish().unwrap()
    }

    fn decompress(codec: Codec, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match codec {
            Codec::None => text.extend_from_slice(body),
            Codec::Lz4 => drop(FrameDecoder::new(body).read_to_end(&mut text)?),
            Codec::Zstd => drop(zstd::Decoder::new(body)?.read_to_end(&mut text)?),
            Codec::Gzip => drop(MultiGzDecoder::new(body).read_to_end(&mut text)?),
        }
        Ok(text)
    }

    /// More than a block of each codec.
    fn long_text() -> Vec<u8> {
        (0..400_000_u64).flat_map(|row| format!("{row},{}\n", row.wrapping_mul(0x9e37_79b9)).into_bytes()).collect()
    }

    #[test]
    fn a_long_body_is_one_frame_and_reads_back() {
        let text = long_text();
        let pieces: Vec<_> = text.chunks(77_777).collect();
        for codec in CODECS {
            let body = compress(codec, &pieces);
            assert!(decompress(codec, &body).unwrap() == text, "{}", codec.name());
            assert_eq!(codec == Codec::None, body.len() == text.len(), "{}", codec.name());
        }
        let zstd_body = compress(Codec::Zstd, &pieces);
        assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&zstd_body), Ok(zstd_body.len()));
        let lz4_body = compress(Codec::Lz4, &pieces);
        assert_eq!(lz4_frame_bytes(&lz4_body), lz4_body.len());
        let gzip_body = compress(Codec::Gzip, &pieces);
        let mut rest = flate2::bufread::GzDecoder::new(gzip_body.as_slice());
        rest.read_to_end(&mut Vec::new()).unwrap();
        assert!(rest.into_inner().is_empty(), "one member is the whole body");
    }

    /// How long the first LZ4 frame is, by its format: a header of 7 bytes (the magic number, flags, block size, check
    /// byte), blocks with their length in front, an empty block, a checksum.
    fn lz4_frame_bytes(body: &[u8]) -> usize {
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), 0x184D_2204);
        let mut at = 7;
        while word(at) != 0 {
            // The highest bit marks a block that did not shrink.
            at += 4 + (word(at) & 0x7fff_ffff) as usize;
        }
        at + 4 + 4
    }

    #[test]
    fn the_same_text_gives_the_same_bytes() {
        let text = long_text();
        for codec in CODECS {
            assert!(compress(codec, &[&text]) == compress(codec, &[&text]), "{}", codec.name());
        }
    }

    #[test]
    fn a_body_cut_short_or_changed_is_noticed_at_the_far_side() {
        let text = long_text();
        for codec in [Codec::Lz4, Codec::Zstd, Codec::Gzip] {
            let mut body = compress(codec, &[&text]);
            assert!(decompress(codec, &body[..body.len() - 1]).is_err(), "{}", codec.name());
            let middle = body.len() / 2;
            body[middle] ^= 0x10;
            assert!(decompress(codec, &body).is_err(), "{}", codec.name());
        }
    }

    proptest! {
        #[test]
        fn any_pieces_read_back_in_order(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..6)) {
            let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            for codec in CODECS {
                prop_assert_eq!(decompress(codec, &compress(codec, &pieces)).unwrap(), pieces.concat());
            }
        }
    }
}
