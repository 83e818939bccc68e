//! The window against servers made of arithmetic: they share what they can do among the loads under way.

use std::time::{Duration, Instant};

use super::*;
use crate::clock::{Clock as _, SystemClock};

const LOAD_BYTES: f64 = 1e6;
const RATE_OF_ONE: f64 = 1e6;

/// Numbers that only look random (xorshift), so that a run can be repeated.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let draw = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        draw
    }
}

/// A server that grows with its load up to `knee` loads, and refuses what is beyond `refuses`.
struct Server {
    knee: f64,
    refuses: usize,
    dice: Dice,
}

/// A window and the loads under way, in time that is only counted.
struct World {
    window: Window,
    start: Instant,
    passed: f64,
    /// Bytes left of each load, all of its bytes, and its ticket.
    loads: Vec<(f64, f64, Ticket)>,
    refusals: u32,
}

impl World {
    fn new(window: Window) -> Self {
        let start = SystemClock.instant();
        Self { window, start, passed: 0.0, loads: Vec::new(), refusals: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.passed)
    }

    /// Fills the window from `queued` loads, and lets the first of them end.
    fn step(&mut self, server: &mut Server, queued: usize) {
        while self.loads.len() < self.window.limit().min(queued) {
            let ticket = self.window.began(self.loads.len() + 1, self.now());
            if self.loads.len() >= server.refuses {
                self.refusals += 1;
                self.window.refused(ticket);
                self.passed += 0.1;
            } else {
                let bytes = LOAD_BYTES * (0.8 + 0.4 * server.dice.draw());
                self.loads.push((bytes, bytes, ticket));
            }
        }
        let under_way = f64::from(u32::try_from(self.loads.len()).unwrap());
        let each = RATE_OF_ONE * under_way.min(server.knee) / under_way * (0.98 + 0.04 * server.dice.draw());
        let first = self.loads.iter().map(|load| load.0).fold(f64::INFINITY, f64::min);
        self.passed += first / each;
        for load in &mut self.loads {
            load.0 -= first;
        }
        let now = self.now();
        for (_, bytes, ticket) in self.loads.extract_if(.., |load| load.0 <= 1e-6) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few million")]
            self.window.acknowledged(ticket, bytes as u64, now);
        }
        assert!((1..=self.window.limit_max).contains(&self.window.limit()), "{:?}", self.window);
    }

    /// The mean limit over so many steps.
    fn mean(&mut self, server: &mut Server, steps: u32) -> f64 {
        let mut sum = 0.0;
        for _ in 0..steps {
            self.step(server, usize::MAX);
            sum += f64::from(u32::try_from(self.window.limit()).unwrap());
        }
        sum / f64::from(steps)
    }
}

fn server(knee: f64, refuses: usize, seed: u64) -> Server {
    Server { knee, refuses, dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1) }
}

#[test]
fn it_climbs_to_where_goodput_stops_growing_and_stays_there() {
    for seed in 1..=200 {
        for knee in [1.0, 3.0, 6.0, 10.0] {
            let mut server = server(knee, usize::MAX, seed);
            let mut world = World::new(Window::climbing(64));
            world.mean(&mut server, 2_000);
            let mean = world.mean(&mut server, 1_000);
            assert!(mean >= knee * 0.6 && mean <= knee + 4.0, "seed {seed}, knee {knee}: {mean}");
        }
    }
}

#[test]
fn it_starts_at_two_and_takes_every_step_on_a_server_without_end() {
    let mut world = World::new(Window::climbing(16));
    assert_eq!(world.window.limit(), 2);
    let mut before = 2;
    for _ in 0..2_000 {
        world.step(&mut server(1e9, usize::MAX, 7), usize::MAX);
        assert!(world.window.limit() <= before + 1, "one at a time");
        before = world.window.limit();
    }
    assert!(before >= 12, "{before}");
}

#[test]
fn refusals_halve_it_and_it_works_below_what_the_server_takes() {
    for seed in 1..=200 {
        let mut server = server(1e9, 8, seed);
        let mut world = World::new(Window::climbing(64));
        world.mean(&mut server, 1_000);
        let before = world.refusals;
        let mean = world.mean(&mut server, 3_000);
        assert!((3.0..=8.5).contains(&mean), "seed {seed}: {mean}");
        let refusals = world.refusals - before;
        assert!(refusals < 150, "seed {seed}: {refusals} of 3,000 loads were refused");
    }
}

#[test]
fn it_recovers_when_the_server_does() {
    for seed in 1..=200 {
        let mut narrow = server(8.0, 1, seed);
        let mut world = World::new(Window::climbing(16));
        world.mean(&mut narrow, 200);
        assert!(world.window.limit() <= 2, "seed {seed}: {:?}", world.window);
        narrow.refuses = usize::MAX;
        world.mean(&mut narrow, 1_000);
        let mean = world.mean(&mut narrow, 500);
        assert!(mean >= 4.0, "seed {seed}: {mean}");
    }
}

#[test]
fn one_overload_halves_it_once_however_many_loads_meet_it() {
    let now = SystemClock.instant();
    let mut window = Window::climbing(64);
    window.limit = 16;
    let tickets: Vec<_> = (1..=16).map(|under_way| window.began(under_way, now)).collect();
    assert_eq!(window.refused(tickets[0]), Some(8));
    for ticket in &tickets[1..] {
        assert_eq!(window.refused(*ticket), None);
    }
    assert_eq!(window.limit(), 8);
    let later = window.began(8, now);
    assert_eq!(window.refused(later), Some(4));
}

#[test]
fn at_one_a_refusal_has_nothing_left_to_halve() {
    let now = SystemClock.instant();
    let mut window = Window::climbing(1);
    let ticket = window.began(1, now);
    assert_eq!((window.refused(ticket), window.limit()), (None, 1));
}

#[test]
fn a_window_that_is_never_full_does_not_grow() {
    let mut server = server(1e9, usize::MAX, 3);
    let mut world = World::new(Window::climbing(16));
    for _ in 0..500 {
        world.step(&mut server, 1);
    }
    assert_eq!(world.window.limit(), 2);
}

#[test]
fn what_the_user_chose_stays() {
    let mut server = server(1e9, usize::MAX, 3);
    let mut world = World::new(Window::fixed(5));
    world.mean(&mut server, 300);
    let now = world.now();
    let ticket = world.window.began(1, now);
    assert_eq!((world.window.refused(ticket), world.window.limit()), (None, 5));
}
