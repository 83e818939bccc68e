//! Options of the service: what a section of its configuration has, each key once, with its default and what it is for.
//!
//! The reference file, the reading of the file and the environment, and what `config show` prints all come from here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::setting::Given;
use crate::model::{ByteCount, Secret};

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it is for, line by line.
    pub about: &'static [&'static str],
    /// Its default, as it would be written.
    pub default: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// Whether SIGHUP changes it in a running service.
    pub reloads: bool,
}

/// A section: a struct whose fields are keys.
pub trait Section: Sized + Clone {
    /// Its name.
    const NAME: &'static str;
    /// What it is for, line by line.
    const ABOUT: &'static [&'static str];
    /// Its keys, in order.
    const KEYS: &'static [Key];

    /// Every key at its default.
    fn defaults() -> Self;

    /// Sets a key, which is one of [`KEYS`](Self::KEYS).
    ///
    /// # Errors
    /// When the value is not what the key takes; the text says why.
    fn set(&mut self, key: &str, given: &Given) -> Result<(), String>;

    /// Each key with its value as TOML, secrets masked.
    fn shown(&self) -> Vec<(&'static str, String)>;
}

/// A value that a key may have.
pub trait Valued: Sized {
    /// What it takes, in words.
    const TAKES: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// When it is something else.
    fn read(given: &Given) -> Result<Self, String>;

    /// As TOML, secrets masked.
    fn toml(&self) -> String;
}

/// Makes a section: `key: type = default, reloads or fixed`.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $section:literal $name:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $ty:ty = $default:literal, $reload:ident; )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $key: $ty, )*
        }

        impl $crate::config::option::Section for $name {
            const NAME: &'static str = $section;
            const ABOUT: &'static [&'static str] = &[$($about),*];
            const KEYS: &'static [$crate::config::option::Key] = &[
                $( $crate::config::option::Key {
                    name: stringify!($key),
                    about: &[$($doc),*],
                    default: $default,
                    takes: <$ty as $crate::config::option::Valued>::TAKES,
                    reloads: $crate::config::option::section!(@ $reload),
                } ),*
            ];

            fn defaults() -> Self {
                use $crate::config::option::{Valued, given_default};
                Self { $( $key: <$ty as Valued>::read(&given_default($default)).expect("a default can be read"), )* }
            }

            fn set(&mut self, key: &str, given: &$crate::config::setting::Given) -> Result<(), String> {
                match key {
                    $( stringify!($key) => self.$key = $crate::config::option::Valued::read(given)?, )*
                    other => return Err(format!("there is no key `{other}`")),
                }
                Ok(())
            }

            fn shown(&self) -> Vec<(&'static str, String)> {
                vec![$( (stringify!($key), $crate::config::option::Valued::toml(&self.$key)) ),*]
            }
        }
    };
    (@ reloads) => { true };
    (@ fixed) => { false };
}

pub(crate) use section;

/// A default as it is written in a section: `[]` is the empty list.
pub(crate) fn given_default(text: &str) -> Given {
    if text == "[]" { Given::Several(Vec::new()) } else { Given::One(text.to_owned()) }
}

fn text(given: &Given) -> Result<&str, String> {
    match given {
        Given::One(text) => Ok(text),
        _ => Err("it is no text".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    // A JSON string is a TOML one as well.
    serde_json::Value::from(text).to_string()
}

macro_rules! parsed {
    ($ty:ty, $takes:literal, $show:expr) => {
        impl Valued for $ty {
            const TAKES: &'static str = $takes;

            fn read(given: &Given) -> Result<Self, String> {
                text(given)?.parse().map_err(|_| format!("`{}` is not {}", text(given).unwrap_or_default(), $takes))
            }

            fn toml(&self) -> String {
                let show: fn(&Self) -> String = $show;
                show(self)
            }
        }
    };
}

parsed!(SocketAddr, "an address with a port, as 127.0.0.1:8070", |value| quoted(&value.to_string()));
parsed!(ByteCount, "a size in bytes, as 64MiB", |value| quoted(&value.to_string().replace(' ', "")));
parsed!(u32, "a whole number", ToString::to_string);
parsed!(u16, "a port, from 1 to 65535", ToString::to_string);

impl Valued for bool {
    const TAKES: &'static str = "true or false";

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Said(said) => Ok(*said),
            Given::One(text) => text.parse().map_err(|_| format!("`{text}` is not {}", Self::TAKES)),
            _ => Err(format!("it is not {}", Self::TAKES)),
        }
    }

    fn toml(&self) -> String {
        self.to_string()
    }
}

impl Valued for String {
    const TAKES: &'static str = "a text";

    fn read(given: &Given) -> Result<Self, String> {
        text(given).map(str::to_owned)
    }

    fn toml(&self) -> String {
        quoted(self)
    }
}

impl Valued for PathBuf {
    const TAKES: &'static str = "a path";

    fn read(given: &Given) -> Result<Self, String> {
        text(given).map(Self::from)
    }

    fn toml(&self) -> String {
        quoted(&self.display().to_string())
    }
}

/// None is the empty text.
impl<T: Valued> Valued for Option<T> {
    const TAKES: &'static str = T::TAKES;

    fn read(given: &Given) -> Result<Self, String> {
        if matches!(given, Given::One(text) if text.is_empty()) { Ok(None) } else { T::read(given).map(Some) }
    }

    fn toml(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Valued::toml)
    }
}

/// A text alone stands for a list of it; in the environment a comma parts the items.
impl<T: Valued> Valued for Vec<T> {
    const TAKES: &'static str = "a list";

    fn read(given: &Given) -> Result<Self, String> {
        let one = |text: &str| T::read(&Given::One(text.to_owned()));
        match given {
            Given::Several(texts) => texts.iter().map(|text| one(text)).collect(),
            Given::One(text) => text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(one).collect(),
            _ => Err("it is no list of texts".to_owned()),
        }
    }

    fn toml(&self) -> String {
        format!("[{}]", self.iter().map(Valued::toml).collect::<Vec<_>>().join(", "))
    }
}

impl Valued for Secret<String> {
    const TAKES: &'static str = "a text that is never shown";

    fn read(given: &Given) -> Result<Self, String> {
        // The text itself must not come back in an error.
        text(given).map(|text| Self::new(text.to_owned()))
    }

    fn toml(&self) -> String {
        quoted("***")
    }
}

/// A time in the configuration: `500ms`, `10s`, `5min`, `2h`; a bare number is seconds.
impl Valued for Duration {
    const TAKES: &'static str = "a time, as 500ms, 10s, 5min or 2h";

    fn read(given: &Given) -> Result<Self, String> {
        let written = text(given)?;
        let end = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
        let (digits, unit) = written.split_at(end);
        let wrong = || format!("`{written}` is not {}", Self::TAKES);
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let times = |seconds: u64| number.checked_mul(seconds).map(Self::from_secs).ok_or_else(wrong);
        match unit.trim() {
            "ms" => Ok(Self::from_millis(number)),
            "" | "s" => times(1),
            "min" => times(60),
            "h" => times(3600),
            _ => Err(wrong()),
        }
    }

    fn toml(&self) -> String {
        let (seconds, rest) = (self.as_secs(), self.subsec_millis());
        quoted(&match (seconds, rest) {
            (0, millis) if millis > 0 => format!("{millis}ms"),
            (seconds, _) if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            (seconds, _) if seconds > 0 && seconds.is_multiple_of(60) => format!("{}min", seconds / 60),
            (seconds, _) => format!("{seconds}s"),
        })
    }
}

/// Makes a value that is one of some words.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident, $takes:literal { $( $(#[doc = $doc:literal])* $variant:ident $word:literal, )* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl $name {
            /// The word for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }

        impl $crate::config::option::Valued for $name {
            const TAKES: &'static str = $takes;

            fn read(given: &$crate::config::setting::Given) -> Result<Self, String> {
                match given {
                    $( $crate::config::setting::Given::One(text) if text == $word => Ok(Self::$variant), )*
                    $crate::config::setting::Given::One(text) => Err(format!("`{text}` is not {}", $takes)),
                    _ => Err(format!("it is not {}", $takes)),
                }
            }

            fn toml(&self) -> String {
                format!("\"{}\"", self.word())
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Given {
        Given::One(text.to_owned())
    }

    #[test]
    fn a_time_is_written_with_its_unit_and_shown_as_it_is_read() {
        for (text, millis, shown) in [
            ("10", 10_000, "\"10s\""),
            ("90s", 90_000, "\"90s\""),
            ("120s", 120_000, "\"2min\""),
            ("2h", 7_200_000, "\"2h\""),
            ("500ms", 500, "\"500ms\""),
            ("0", 0, "\"0s\""),
        ] {
            let time = Duration::read(&one(text)).unwrap();
            assert_eq!((time.as_millis(), time.toml().as_str()), (millis, shown), "{text}");
        }
        for wrong in ["", "s", "-1s", "1 day", "99999999999999999999s", "18446744073709551615h"] {
            assert!(Duration::read(&one(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_is_a_list_or_one_text_with_commas() {
        let several = Given::Several(vec!["a".into(), "b,c".into()]);
        assert_eq!(Vec::<String>::read(&several).unwrap(), ["a", "b,c"]);
        assert_eq!(Vec::<String>::read(&one("a, b")).unwrap(), ["a", "b"]);
        assert_eq!(Vec::<String>::read(&one("")).unwrap(), Vec::<String>::new());
        assert!(Vec::<String>::read(&Given::Said(true)).is_err());
    }

    #[test]
    fn a_secret_is_never_shown_and_nothing_is_the_empty_text() {
        let secret = Option::<Secret<String>>::read(&one("hush")).unwrap();
        assert_eq!(secret.toml(), "\"***\"");
        assert_eq!(Option::<PathBuf>::read(&one("")).unwrap(), None);
    }
}
