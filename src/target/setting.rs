//! Stream Load headers that users may set by hand (SR §2.1).

use super::Error;
use crate::near;

/// Headers that pass through as they are.
const OPEN: &[&str] = &[
    "enable_replicated_storage",
    "exec_mem_limit",
    "load_dop",
    "load_mem_limit",
    "log_rejected_record_num",
    "merge_condition",
    "negative",
    "partial_update",
    "partial_update_mode",
    "partitions",
    "temporary_partitions",
    "transmission_compression_type",
    "warehouse",
];

const BODY: &str = "shipload writes the body itself, and says how it is to be read; see --wire";
const INPUT: &str = "this describes the input, which shipload reads itself; see the --csv-… flags";
const MERGED: &str = "a merged load is not kept apart by its label, so its rows could arrive twice";

/// Headers that this program writes, or that would break what it promises; and what to do instead.
const RESERVED: &[(&str, &str)] = &[
    ("authorization", "give the user in the target's address and the password in SHIPLOAD_PASSWORD"),
    ("column_separator", BODY),
    ("columns", "use --columns"),
    ("compression", "use --compression"),
    ("content-encoding", "use --compression"),
    ("content-length", BODY),
    ("enable_merge_commit", MERGED),
    ("enclose", BODY),
    ("envelope", BODY),
    ("escape", BODY),
    ("expect", BODY),
    ("format", "use --wire for what travels, and --format for the input"),
    ("host", BODY),
    ("ignore_json_size", BODY),
    ("json_root", BODY),
    ("jsonpaths", BODY),
    ("label", "labels follow from the job's name: use --job"),
    ("max_filter_ratio", "use --max-rejects"),
    ("merge_commit_async", MERGED),
    ("merge_commit_interval_ms", MERGED),
    ("merge_commit_parallel", MERGED),
    ("row_delimiter", BODY),
    ("skip_header", INPUT),
    ("strict_mode", "it is always true: otherwise values that cannot be read become NULL"),
    ("strip_outer_array", BODY),
    ("timeout", "use --load-timeout"),
    ("timezone", "use --timezone"),
    ("transfer-encoding", BODY),
    ("trim_space", INPUT),
    ("where", "use --where"),
];

/// Reads `name=value` as a Stream Load header that may be set by hand. The name comes back in lower case.
///
/// # Errors
/// When there is no such header, when this program sets it itself, or when its value cannot travel in a header.
pub fn parse_setting(text: &str) -> Result<(String, String), Error> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Error::SettingInvalid { name: text.trim().to_owned(), reason: "there is no `=` in it" })?;
    let name = name.trim().to_ascii_lowercase();
    let value = value.trim().to_owned();
    if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        return Err(Error::SettingReserved { name, instead });
    }
    if !OPEN.contains(&name.as_str()) {
        let nearest = nearest(&name);
        return Err(Error::SettingUnknown { name, nearest });
    }
    if value.is_empty() {
        return Err(Error::SettingInvalid { name, reason: "its value is empty" });
    }
    if value.chars().any(char::is_control) {
        return Err(Error::SettingInvalid {
            name,
            reason: "its value holds a line break or another control character",
        });
    }
    Ok((name, value))
}

fn nearest(name: &str) -> Option<&'static str> {
    let known = OPEN.iter().copied().chain(RESERVED.iter().map(|(reserved, _)| *reserved));
    near::names(name, known).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_setting_is_taken_whatever_its_case() {
        assert_eq!(parse_setting("Partial_Update = true").unwrap(), ("partial_update".into(), "true".into()));
        assert_eq!(parse_setting("merge_condition=a=b").unwrap().1, "a=b");
    }

    #[test]
    fn an_unknown_setting_is_refused_and_the_nearest_name_suggested() {
        for (text, expected) in [
            ("partial_updat=true", Some("partial_update")),
            ("formt=csv", Some("format")),
            ("zzzzzzzzzzzz=1", None),
            ("a=1", None),
        ] {
            let Err(Error::SettingUnknown { nearest, .. }) = parse_setting(text) else { panic!("{text} was taken") };
            assert_eq!(nearest, expected, "{text}");
        }
    }

    #[test]
    fn a_setting_of_our_own_is_refused_with_the_flag_to_use() {
        for (name, instead) in RESERVED {
            let Err(Error::SettingReserved { instead: said, .. }) = parse_setting(&format!("{name}=x")) else {
                panic!("{name} was taken")
            };
            assert_eq!(said, *instead);
            assert!(!OPEN.contains(name));
        }
    }

    #[test]
    fn a_value_that_could_end_the_header_is_refused() {
        for text in ["warehouse=a\r\nlabel: b", "warehouse=a\nb", "warehouse=a\0b", "warehouse=", "warehouse"] {
            assert!(matches!(parse_setting(text), Err(Error::SettingInvalid { .. })), "{text:?}");
        }
    }
}
