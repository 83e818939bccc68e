//! [`Packets`]: what a MySQL client sends, as far as it may.
//!
//! The protocol library keeps what a client sends until it is whole, without a limit, and ends the thread's work on some
//! packets that nobody sends by mistake. This stands in front of it and fails first.
//!
//! It also never lets the library see two packets at once: of those it frees the first (opensrv-mysql 0.7.0,
//! `PacketReader::next_async`) before it looks at it. Connectors that close a statement and prepare the next in one go
//! were answered to whatever the memory held by then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};

/// The longest statement, and the most that the parameters of one may come to beforehand: the server's
/// `max_allowed_packet`.
const PACKET_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Nobody's name and password are longer.
const GREETING_BYTES_MAX: usize = 64 * 1024;
/// What a part holds that another follows.
const PART_BYTES: usize = 0xff_ffff;
const HEADER_BYTES: usize = 4;
const EXECUTE: u8 = 0x17;
const SEND_LONG_DATA: u8 = 0x18;

/// A reader that fails where a packet is too long, or its parts are out of order, and gives out one at a time.
pub(super) struct Packets<R> {
    reader: BufReader<R>,
    frame: Frame,
}

/// Where in a packet a client is.
#[derive(Debug, Default)]
struct Frame {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// What is still to come of this part.
    rest: usize,
    /// The length of the packet so far, and the number of the part before, if this is not the first.
    packet: usize,
    before: Option<u8>,
    /// Whether another part follows.
    more: bool,
    /// The kind of the packet, once its first byte has come.
    command: Option<u8>,
    greeted: bool,
    /// What has been sent ahead for parameters.
    ahead: usize,
}

impl<R: AsyncRead> Packets<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), frame: Frame::default() }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Packets<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let bytes = ready!(Pin::new(&mut this.reader).poll_fill_buf(context))?;
        let bytes = &bytes[..bytes.len().min(buffer.remaining()).min(this.frame.wanted())];
        buffer.put_slice(bytes);
        let (length, seen) = (bytes.len(), this.frame.follow(bytes));
        Pin::new(&mut this.reader).consume(length);
        Poll::Ready(seen.map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong)))
    }
}

impl Frame {
    /// How many bytes there are at least up to the end of this part.
    fn wanted(&self) -> usize {
        if self.header_bytes < HEADER_BYTES { HEADER_BYTES - self.header_bytes } else { self.rest }
    }

    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some(&first) = bytes.first() {
            if self.header_bytes < HEADER_BYTES {
                self.header[self.header_bytes] = first;
                self.header_bytes += 1;
                bytes = &bytes[1..];
                if self.header_bytes == HEADER_BYTES {
                    self.begin()?;
                }
                continue;
            }
            if self.command.is_none() {
                self.command = Some(first);
            }
            let taken = bytes.len().min(self.rest);
            self.rest -= taken;
            bytes = &bytes[taken..];
            if self.rest == 0 {
                self.end()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), &'static str> {
        let [low, middle, high, sequence] = self.header;
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        if self.before.is_some_and(|before| before.checked_add(1) != Some(sequence)) {
            return Err("the parts of a packet are out of order");
        }
        // The library counts on from here for its answer.
        if sequence == u8::MAX {
            return Err("a packet with a number that has no successor");
        }
        self.rest = length;
        self.packet += length;
        self.more = length == PART_BYTES;
        self.before = self.more.then_some(sequence);
        let longest = if self.greeted { PACKET_BYTES_MAX } else { GREETING_BYTES_MAX };
        if self.packet > longest {
            return Err("a packet is longer than max_allowed_packet");
        }
        if length == 0 { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), &'static str> {
        self.header_bytes = 0;
        if self.more {
            return Ok(());
        }
        match self.command.take() {
            Some(SEND_LONG_DATA) if self.greeted => self.ahead += self.packet,
            Some(EXECUTE) => self.ahead = 0,
            _ => {}
        }
        (self.packet, self.greeted) = (0, true);
        if self.ahead > PACKET_BYTES_MAX { Err("parameters are longer than max_allowed_packet") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("short").to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }

    fn greeted() -> Frame {
        let mut frame = Frame::default();
        frame.follow(&packet(1, b"name")).expect("a greeting");
        frame
    }

    #[tokio::test]
    async fn packets_that_come_together_are_given_out_one_by_one() {
        let (close, prepare) = (packet(0, b"\x19\x01\0\0\0"), packet(0, b"\x16SELECT 1"));
        let both = [&close[..], &prepare].concat();
        let mut packets = Packets::new(&both[..]);
        packets.frame.greeted = true;
        let mut seen = Vec::new();
        for end in [close.len(), both.len()] {
            while seen.len() < end {
                assert_ne!(packets.read_buf(&mut seen).await.expect("memory can be read"), 0);
            }
            assert_eq!(seen, both[..end]);
        }
    }

    #[test]
    fn packets_are_followed_however_they_are_cut() {
        let bytes = [packet(0, b"\x03SELECT 1"), packet(0, b""), packet(0, &vec![b'x'; 70_000])].concat();
        for size in [1, 3, 4, 5, 1000, bytes.len()] {
            let mut frame = greeted();
            for piece in bytes.chunks(size) {
                assert_eq!(frame.follow(piece), Ok(()));
            }
            assert_eq!((frame.header_bytes, frame.packet), (0, 0), "{size}");
        }
    }

    #[test]
    fn what_is_too_long_fails_as_soon_as_it_is_announced() {
        assert!(Frame::default().follow(&packet(1, &vec![0; GREETING_BYTES_MAX + 1])[..4]).is_err());
        let part = packet(0, &vec![b'x'; PART_BYTES]);
        let mut frame = greeted();
        assert_eq!(frame.follow(&part), Ok(()));
        assert_eq!(frame.follow(&packet(1, &part[4..])), Ok(()));
        assert!(frame.follow(&[9, 0, 0, 2]).is_err(), "32 MiB and more");
    }

    #[test]
    fn parts_out_of_order_fail() {
        let mut frame = greeted();
        frame.follow(&packet(0, &vec![b'x'; PART_BYTES])).expect("the first part");
        assert!(frame.follow(&[1, 0, 0, 7]).is_err());
        assert!(greeted().follow(&[1, 0, 0, 255]).is_err());
    }

    #[test]
    fn parameters_sent_ahead_are_bounded_until_they_are_used() {
        let piece = [&[SEND_LONG_DATA][..], &vec![0; 16 * 1024 * 1024 - 10]].concat();
        let mut frame = greeted();
        for _ in 0..2 {
            assert_eq!(frame.follow(&packet(0, &piece)), Ok(()));
        }
        assert_eq!(frame.follow(&packet(0, &[EXECUTE, 0])), Ok(()));
        for _ in 0..2 {
            assert_eq!(frame.follow(&packet(0, &piece)), Ok(()));
        }
        assert!(frame.follow(&packet(0, &piece)).is_err());
    }
}
