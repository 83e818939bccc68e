//! Compressed bytes to plain ones.
//!
//! All five formats may be concatenated, and tools do that (`pigz`, `pbzip2`, `cat a.gz b.gz`): each is read to the end of its
//! input, not of its first part. The end of the input must be the end of a part. What ends earlier is an error of kind
//! [`UnexpectedEof`](ErrorKind::UnexpectedEof), and what follows a part and is none is one of kind
//! [`InvalidData`](ErrorKind::InvalidData): bytes that are skipped could have been rows.

mod ahead;

#[cfg(test)]
mod ahead_tests;

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::format::Compression;
use super::stored::Meter;
use ahead::{Ahead, Sizes};

/// How much compressed data is fetched at a time.
const FETCH_BYTES: usize = 128 << 10;

/// The most memory that xz may take for its dictionary. `xz -9` asks for 65 MiB; files that ask for more were made to hurt.
const XZ_MEMORY_MAX: u64 = 256 << 20;

/// Decompresses `stored` to its end.
///
/// # Errors
/// When there is no memory for a decoder.
pub fn decompress(compression: Compression, stored: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let watch = Arc::new(Watch::default());
    let stored = BufReader::with_capacity(FETCH_BYTES, Watched { stored, watch: Arc::clone(&watch) });
    let plain: Box<dyn Read + Send> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(stored)?),
        Compression::Lz4 => {
            Box::new(Lz4 { frames: lz4_flex::frame::FrameDecoder::new(stored), watch: Arc::clone(&watch), done: false })
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stored)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_MAX, liblzma::stream::CONCATENATED);
            Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream?))
        }
    };
    Ok(Box::new(Sorted { plain, compression, watch }))
}

/// The same on threads of its own, ahead of whoever reads; on several where the input has several parts and may be split,
/// which a file may and a pipe, whose writer could be waited for, may not.
///
/// # Errors
/// When there is no memory for a decoder, or no thread.
pub(super) fn ahead(
    compression: Compression,
    stored: Box<dyn Read + Send>,
    may_split: bool,
    meter: Meter,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Ahead::new(compression, stored, may_split, meter, Sizes::default())?))
}

/// What happened below a decoder, which decoders do not tell.
#[derive(Default)]
struct Watch {
    /// A read found the end of the stored bytes.
    ended: AtomicBool,
    /// A read failed.
    failed: AtomicBool,
}

struct Watched {
    stored: Box<dyn Read + Send>,
    watch: Arc<Watch>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.stored.read(buffer);
        match &result {
            Ok(0) if !buffer.is_empty() => self.watch.ended.store(true, Ordering::Relaxed),
            Err(error) if error.kind() != ErrorKind::Interrupted => self.watch.failed.store(true, Ordering::Relaxed),
            _ => {}
        }
        result
    }
}

/// Frames of LZ4 to the end of the input. The decoder itself reports the end of a frame, the end of the input between two
/// blocks and the end of the input inside a frame's head all in the same way.
struct Lz4 {
    frames: lz4_flex::frame::FrameDecoder<BufReader<Watched>>,
    watch: Arc<Watch>,
    /// The end was found where it belongs. It stays found: readers may ask again.
    done: bool,
}

impl Read for Lz4 {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.done {
            return Ok(0);
        }
        loop {
            match self.frames.read(buffer)? {
                0 if self.watch.ended.load(Ordering::Relaxed) => return Err(ErrorKind::UnexpectedEof.into()),
                0 if self.frames.get_mut().fill_buf()?.is_empty() => {
                    self.done = true;
                    return Ok(0);
                }
                // A frame is over, and another one follows.
                0 => {}
                count => return Ok(count),
            }
        }
    }
}

/// Gives the errors of five libraries the kinds that readers go by. Errors of the stored bytes pass as they are.
struct Sorted {
    plain: Box<dyn Read + Send>,
    compression: Compression,
    watch: Arc<Watch>,
}

impl Read for Sorted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.plain.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ if self.watch.failed.load(Ordering::Relaxed) => error,
            ErrorKind::UnexpectedEof => {
                io::Error::new(ErrorKind::UnexpectedEof, format!("the {} data is cut off", self.compression))
            }
            _ => io::Error::new(ErrorKind::InvalidData, format!("the {} data is damaged: {error}", self.compression)),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_stays_the_end_however_often_it_is_asked_for() {
        for compression in ALL {
            let stored = Cursor::new(compress(compression, b"plain"));
            let mut plain = decompress(compression, Box::new(stored)).unwrap();
            let mut text = Vec::new();
            plain.read_to_end(&mut text).unwrap();
            assert_eq!(text, b"plain");
            for _ in 0..3 {
                assert_eq!(plain.read(&mut [0; 10]).unwrap(), 0, "{compression}");
            }
        }
    }

    pub(super) const ALL: [Compression; 5] =
        [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Bzip2, Compression::Xz];

    pub(super) fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Lz4 => {
                let mut info = lz4_flex::frame::FrameInfo::new();
                info.block_size = lz4_flex::frame::BlockSize::Max64KB;
                info.content_checksum = true;
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn read(compression: Compression, stored: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompress(compression, Box::new(Cursor::new(stored)))?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    /// Text that compresses, but not to nothing: it takes several blocks of LZ4.
    pub(super) fn text(lines: u32) -> Vec<u8> {
        (0..lines).flat_map(|line| format!("{line},{}\n", line.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    #[test]
    fn input_that_is_cut_off_anywhere_never_looks_complete() {
        let plain = text(12_000);
        for compression in ALL {
            let stored = compress(compression, &plain);
            let edges = (1..60).chain(stored.len() - 60..stored.len());
            for length in edges.chain((1..40).map(|part| stored.len() * part / 40)) {
                let error = read(compression, stored[..length].to_vec()).expect_err("it is cut off");
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{compression} after {length}: {error}");
            }
            assert_eq!(read(compression, stored).unwrap(), plain, "{compression}");
        }
    }

    #[test]
    fn the_second_part_of_an_input_is_cut_off_as_the_first_is() {
        for compression in ALL {
            let first = compress(compression, b"one\n");
            let second = compress(compression, b"two\n");
            for length in 1..second.len() {
                let stored = [&first[..], &second[..length]].concat();
                let kind = read(compression, stored).expect_err("it is cut off").kind();
                // So few bytes of a second part can as well be garbage.
                let garbage = length < 12 && kind == ErrorKind::InvalidData;
                assert!(kind == ErrorKind::UnexpectedEof || garbage, "{compression} after {length}: {kind}");
            }
        }
    }

    #[test]
    fn what_follows_the_last_part_and_is_none_is_an_error() {
        for compression in ALL {
            let stored = [compress(compression, b"a,b\n"), b"3,4\n and more that is not compressed".to_vec()].concat();
            let error = read(compression, stored).expect_err("something follows");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{compression}: {error}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_noticed() {
        for compression in ALL {
            let mut stored = compress(compression, &text(2_000));
            let middle = stored.len() / 2;
            stored[middle] ^= 0x55;
            assert!(read(compression, stored).is_err(), "{compression}");
        }
    }

    #[test]
    fn errors_of_the_disk_are_not_taken_for_damage() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::StaleNetworkFileHandle.into())
            }
        }
        for compression in ALL {
            let stored = Cursor::new(compress(compression, &text(100))[..40].to_vec()).chain(Broken);
            let error = decompress(compression, Box::new(stored)).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StaleNetworkFileHandle, "{compression}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_bytes_in_any_number_of_parts_come_back(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..5),
        ) {
            for compression in ALL {
                let stored: Vec<u8> = parts.iter().flat_map(|part| compress(compression, part)).collect();
                prop_assert_eq!(Compression::detect(std::path::Path::new("x"), &stored).unwrap(), Some(compression));
                prop_assert_eq!(read(compression, stored).unwrap(), parts.concat(), "{}", compression);
            }
        }

        #[test]
        fn no_bytes_make_a_decoder_panic_or_give_rows(noise in prop::collection::vec(any::<u8>(), 1..200)) {
            for compression in ALL {
                prop_assert!(read(compression, noise.clone()).is_err(), "{}", compression);
            }
        }
    }
}
