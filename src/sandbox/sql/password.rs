//! Passwords as MySQL keeps and checks them (`mysql_native_password`).

use sha1::{Digest, Sha1};

use crate::sandbox::function::hex_text;

/// The stored form of a password: `*` and the hex of SHA1(SHA1(password)), or nothing for no password.
pub(in crate::sandbox) fn digest(password: &str) -> String {
    if password.is_empty() {
        return String::new();
    }
    let twice = Sha1::digest(Sha1::digest(password));
    format!("*{}", hex_text(&twice))
}

/// Whether a client that was given this salt knows the password behind the stored form.
///
/// It answers with SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))), and with nothing if it has no password.
pub(in crate::sandbox) fn proves(answer: &[u8], salt: &[u8], stored: &str) -> bool {
    let Some(twice) = stored.strip_prefix('*').and_then(bytes) else { return answer.is_empty() };
    let mask = Sha1::new().chain_update(salt).chain_update(&twice).finalize();
    let once: Vec<u8> = answer.iter().zip(mask).map(|(answer, mask)| answer ^ mask).collect();
    answer.len() == mask.len() && Sha1::digest(once)[..] == twice[..]
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_stored_as_mysql_stores_it() {
        assert_eq!(digest("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
        assert_eq!(digest(""), "");
    }

    #[test]
    fn an_answer_proves_only_its_own_password() {
        let (salt, stored) = (b"01234567890123456789", digest("p"));
        let once = Sha1::digest("p");
        let mask = Sha1::new().chain_update(salt).chain_update(Sha1::digest(once)).finalize();
        let answer: Vec<u8> = once.iter().zip(mask).map(|(once, mask)| once ^ mask).collect();
        assert!(proves(&answer, salt, &stored));
        assert!(!proves(&answer, b"another salt of 20 b", &stored));
        assert!(!proves(&[], salt, &stored));
        assert!(proves(&[], salt, ""));
        assert!(!proves(&answer, salt, ""));
    }
}
