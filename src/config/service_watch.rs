//! Whether a watched folder can be watched, and its files loaded as it says.

use std::path::Path;

use super::service::{Disposal, ServiceConfig, Watch};
use super::service_check::{Flaw, flaw};
use super::setting::{self, Given, Unfit};

/// Settings that a watched folder has in other ways.
const OWN: [&str; 6] = ["to", "job", "sha256", "again", "state_dir", "rejects"];

impl Watch {
    /// Its settings by name, as requests have them.
    ///
    /// # Errors
    /// When one is not written as one; the text says which.
    pub fn given(&self) -> Result<Vec<(String, Given)>, String> {
        let known = setting::settings();
        let mut given: Vec<(String, Given)> = Vec::new();
        for text in &self.settings {
            let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no setting: NAME=VALUE is"))?;
            let (name, value) = (name.trim(), value.trim().to_owned());
            let flag = known.iter().any(|setting| setting.name == name && !setting.valued);
            match given.iter_mut().find(|(other, _)| other == name) {
                Some((_, Given::Several(values))) => values.push(value),
                Some((_, one @ Given::One(_))) => {
                    let Given::One(first) = std::mem::replace(one, Given::Other) else { continue };
                    *one = Given::Several(vec![first, value]);
                }
                Some(_) => return Err(format!("`{name}` is said twice")),
                None => given.push((
                    name.to_owned(),
                    match value.as_str() {
                        "true" if flag => Given::Said(true),
                        "false" if flag => Given::Said(false),
                        _ => Given::One(value),
                    },
                )),
            }
        }
        Ok(given)
    }
}

/// Everything that does not fit.
pub(super) fn flaws(heading: &str, watch: &Watch, config: &ServiceConfig, flaws: &mut Vec<Flaw>) {
    let key = |name: &str| format!("{heading}.{name}");
    let mut wrong = |name: &str, what: String, hint: &str| flaws.push(flaw(&key(name), what, hint));
    if !Path::new(&watch.glob).is_absolute() {
        wrong("glob", "it is no absolute pattern".to_owned(), "write glob = \"/srv/in/*.csv\"");
    } else if let Err(error) = glob::Pattern::new(&watch.glob) {
        wrong("glob", format!("it is no pattern: {error}"), "`*`, `?`, `[…]` and `**` stand for something");
    } else if !config.files.roots.iter().any(|root| fixed_part(&watch.glob).starts_with(root)) {
        wrong("glob", "it is not below a folder that jobs may read".to_owned(), "add its folder to files.roots");
    }
    if watch.target.is_empty() && config.targets.len() != 1 {
        wrong("target", "it is missing".to_owned(), "name one of [targets.NAME]");
    } else if !watch.target.is_empty() && !config.targets.contains_key(&watch.target) {
        let near = crate::near::names(&watch.target, config.targets.keys().map(String::as_str));
        let hint =
            near.first().map_or("name one of [targets.NAME]".to_owned(), |near| format!("did you mean `{near}`?"));
        wrong("target", format!("there is no target `{}`", watch.target), &hint);
    }
    for (name, value) in [("database", &watch.database), ("table", &watch.table)] {
        if value.is_empty() {
            wrong(name, "it is missing".to_owned(), "files have to be loaded into a table");
        }
    }
    match (watch.loaded, &watch.loaded_dir) {
        (Disposal::Move, None) => wrong("loaded_dir", "it is missing".to_owned(), "say where files are moved to"),
        (Disposal::Keep | Disposal::Delete, Some(_)) => {
            wrong("loaded_dir", "no file is moved there".to_owned(), "say loaded = \"move\", or leave it out");
        }
        _ => {}
    }
    for (name, folder) in [("loaded_dir", &watch.loaded_dir), ("failed_dir", &watch.failed_dir)] {
        if folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            wrong(name, "it is no absolute path".to_owned(), "write the whole path");
        }
    }
    if watch.interval.is_zero() {
        wrong("interval", "nobody looks as often as that".to_owned(), "it takes at least 1ms");
    }
    if watch.marker.contains('/') {
        wrong("marker", "it is no ending of a name".to_owned(), "write marker = \".done\"");
    }
    if let Err(what) = settings(watch) {
        wrong("settings", what, "they are the flags of `shipload import`, with _ for -");
    }
}

/// The folders of a pattern that stand for themselves.
fn fixed_part(pattern: &str) -> &Path {
    let end = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let end = pattern[..end].rfind('/').unwrap_or(0);
    Path::new(&pattern[..end])
}

/// Whether they make an import.
fn settings(watch: &Watch) -> Result<(), String> {
    let known = setting::settings();
    let mut typed = vec!["import".to_owned(), "--to=starrocks://fe/d/t".to_owned()];
    for (name, value) in watch.given()? {
        if OWN.contains(&name.as_str()) {
            return Err(format!("`{name}` is not for a watched folder"));
        }
        typed.extend(setting::arguments(&known, &name, value).map_err(|unfit| match unfit {
            Unfit::Takes(wanted) => format!("`{name}` takes {wanted}"),
            Unfit::Unknown(near) if near.is_empty() => format!("there is no setting `{name}`"),
            Unfit::Unknown(near) => format!("there is no setting `{name}`; did you mean `{}`?", near.join("`, `")),
        })?);
    }
    typed.extend(["--".to_owned(), "a".to_owned()]);
    setting::typed(&typed).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::option::Section as _;
    use crate::config::service::TargetOptions;

    fn wrong(change: impl FnOnce(&mut Watch)) -> Vec<String> {
        let mut config = ServiceConfig::default();
        config.files.roots.push("/srv/in".into());
        config.targets.insert("lake".into(), TargetOptions::defaults());
        let mut watch = Watch::defaults();
        watch.glob = "/srv/in/orders/*.csv".into();
        (watch.database, watch.table) = ("d".into(), "t".into());
        change(&mut watch);
        let mut found = Vec::new();
        flaws("watch.w", &watch, &config, &mut found);
        found.into_iter().map(|flaw| format!("{}: {}", flaw.key, flaw.what)).collect()
    }

    #[test]
    fn what_can_be_watched_is_and_the_rest_is_named() {
        assert_eq!(wrong(|_| {}), Vec::<String>::new());
        assert_eq!(wrong(|watch| watch.settings = vec!["create_table=true".into(), "max_rejects=1%".into()]), [""; 0]);
        for (expected, change) in [
            ("glob: it is no absolute", (|watch| watch.glob = "in/*".into()) as fn(&mut Watch)),
            ("glob: it is not below", |watch| watch.glob = "/srv/*/x.csv".into()),
            ("glob: it is no pattern", |watch| watch.glob = "/srv/in/[x".into()),
            ("target: there is no target `lak`", |watch| watch.target = "lak".into()),
            ("table: it is missing", |watch| watch.table.clear()),
            ("loaded_dir: it is missing", |watch| watch.loaded = Disposal::Move),
            ("loaded_dir: no file", |watch| watch.loaded_dir = Some("/srv/x".into())),
            ("failed_dir: it is no absolute", |watch| watch.failed_dir = Some("x".into())),
            ("settings: there is no setting `maxrejects`; did you mean", |watch| {
                watch.settings = vec!["maxrejects=1".into()];
            }),
            ("settings: `create_table` takes", |watch| watch.settings = vec!["create_table=1".into()]),
            ("settings: `again` is not", |watch| watch.settings = vec!["again=true".into()]),
            ("settings: `x` is no setting", |watch| watch.settings = vec!["x".into()]),
            ("marker: ", |watch| watch.marker = "/done".into()),
        ] {
            let found = wrong(change);
            assert!(found.iter().any(|text| text.contains(&format!("watch.w.{expected}"))), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_setting_that_is_said_twice_is_a_list() {
        let settings = vec!["set=a=1".to_owned(), "set=b=2".to_owned()];
        let watch = Watch { settings, ..Watch::defaults() };
        assert_eq!(watch.given().unwrap(), [("set".to_owned(), Given::Several(vec!["a=1".into(), "b=2".into()]))]);
    }
}
