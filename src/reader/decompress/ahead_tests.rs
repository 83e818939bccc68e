//! Decompression ahead of the reader against decompression by the reader: the same bytes, and the same errors behind them.

use std::io::{self, Cursor, ErrorKind, Read};

use proptest::prelude::*;

use super::ahead::{Ahead, Sizes};
use super::decompress;
use super::tests::{ALL, compress, text};
use crate::reader::format::Compression;
use crate::reader::stored::Meter;

/// So small that a few kilobytes are many parts.
const SMALL: Sizes = Sizes { stored_min: 40, stored_max: 4096, plain_max: 100_000, buffer: 1000, threads: 3 };

type Drained = (Vec<u8>, Result<(), (ErrorKind, String)>);

/// Everything up to the end or to an error, of which the kind and the words are kept.
fn drain(mut plain: impl Read) -> Drained {
    let mut bytes = Vec::new();
    let end = plain.read_to_end(&mut bytes).map(drop).map_err(|error| (error.kind(), error.to_string()));
    (bytes, end)
}

fn both(compression: Compression, stored: &[u8], sizes: Sizes) -> [Drained; 2] {
    let stored = || Box::new(Cursor::new(stored.to_vec()));
    let ahead = Ahead::new(compression, stored(), true, Meter::default(), sizes).unwrap();
    [drain(ahead), drain(decompress(compression, stored()).unwrap())]
}

fn parts(compression: Compression, count: u32) -> Vec<u8> {
    (0..count).flat_map(|part| compress(compression, &text(20 + part % 7))).collect()
}

#[test]
fn many_parts_are_decompressed_by_several_threads() {
    for compression in ALL {
        let (stored, meter) = (parts(compression, 200), Meter::default());
        let ahead = Ahead::new(compression, Box::new(Cursor::new(stored.clone())), true, meter.clone(), SMALL);
        let (plain, end) = drain(ahead.unwrap());
        end.unwrap();
        assert_eq!(plain, drain(decompress(compression, Box::new(Cursor::new(stored))).unwrap()).0, "{compression}");
        // Of one thread alone there is nothing to be told but that it was one.
        assert_eq!(meter.decompressors(), 3, "{compression}");
        assert!(meter.decompressing() > std::time::Duration::ZERO, "{compression}");
    }
}

#[test]
fn a_part_that_is_too_large_is_left_to_one_thread_and_so_is_what_follows() {
    for compression in ALL {
        let large = compress(compression, &text(12_000));
        for stored in [large.clone(), [parts(compression, 20), large.clone(), parts(compression, 20)].concat()] {
            let [ahead, plain] = both(compression, &stored, SMALL);
            assert!(ahead == plain, "{compression}");
            ahead.1.unwrap();
        }
        // Few stored bytes, and many plain ones.
        let bomb = [compress(compression, b"1\n"), compress(compression, &vec![b'x'; 300_000])].concat();
        let [ahead, plain] = both(compression, &bomb, SMALL);
        assert!(ahead == plain && ahead.0.len() == 300_002, "{compression}");
    }
}

#[test]
fn bytes_that_look_like_a_part_within_a_part_split_nothing() {
    for compression in ALL {
        // Random bytes are stored as they are: a whole file in them stands there as it is.
        let mut noise: Vec<u8> =
            (0..3000_u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[5]).collect();
        let inner = compress(compression, b"not a part of its own\n");
        noise.splice(1500..1500, inner);
        let one = compress(compression, &noise);
        let stored = [&one[..], &one, &one].concat();
        let [ahead, plain] = both(compression, &stored, SMALL);
        assert!(ahead == plain, "{compression}");
        assert!(ahead.0 == [&noise[..], &noise, &noise].concat(), "{compression}");
    }
}

#[test]
fn an_input_cut_off_or_damaged_anywhere_gives_the_same_bytes_and_the_same_error() {
    for compression in ALL {
        let stored = parts(compression, 12);
        for at in (1..stored.len()).step_by(29) {
            let [ahead, plain] = both(compression, &stored[..at], SMALL);
            assert!(ahead == plain, "{compression} cut off at {at}: {:?} {:?}", ahead.1, plain.1);
            let mut damaged = stored.clone();
            damaged[at] ^= 0x41;
            let [ahead, plain] = both(compression, &damaged, SMALL);
            // How many bytes come before the error depends on how many are asked for at a time.
            let same = ahead.0.starts_with(&plain.0) || plain.0.starts_with(&ahead.0);
            assert!(same && ahead.1 == plain.1, "{compression} damaged at {at}: {:?} {:?}", ahead.1, plain.1);
        }
    }
}

#[test]
fn an_error_of_the_disk_comes_behind_the_bytes_before_it_and_stays_one() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::StaleNetworkFileHandle.into())
        }
    }
    for compression in ALL {
        for may_split in [true, false] {
            let stored = Box::new(Cursor::new(parts(compression, 30)).chain(Broken));
            let mut ahead = Ahead::new(compression, stored, may_split, Meter::default(), SMALL).unwrap();
            let (bytes, end) = drain(&mut ahead);
            assert_eq!(end.unwrap_err().0, ErrorKind::StaleNetworkFileHandle, "{compression}");
            assert!(!bytes.is_empty());
            assert!(ahead.read(&mut [0; 9]).is_err(), "{compression}: an error is never the end");
        }
    }
}

#[test]
fn what_comes_through_a_pipe_is_there_when_it_comes() {
    for compression in ALL {
        let (far, mut near) = io::pipe().unwrap();
        let mut ahead = Ahead::new(compression, Box::new(far), false, Meter::default(), SMALL).unwrap();
        let first = compress(compression, b"first\n");
        io::Write::write_all(&mut near, &first).unwrap();
        // The end of the part, at the latest, is known with the next one; the pipe stays open.
        io::Write::write_all(&mut near, &compress(compression, &text(300))).unwrap();
        let mut bytes = [0; 6];
        ahead.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"first\n", "{compression}");
        drop(near);
        drain(ahead).1.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_parts_come_back_however_they_are_split(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..12),
        stored_min in 1_usize..500,
        stored_max in 500_usize..3000,
        plain_max in 1_usize..3000,
        threads in 2_usize..4,
    ) {
        let sizes = Sizes { stored_min, stored_max, plain_max, buffer: 100, threads };
        for compression in ALL {
            let stored: Vec<u8> = parts.iter().flat_map(|part| compress(compression, part)).collect();
            let [ahead, plain] = both(compression, &stored, sizes);
            prop_assert!(ahead == plain, "{}", compression);
            prop_assert!(ahead == (parts.concat(), Ok(())), "{}", compression);
        }
    }
}
