//! Reading the configuration: what is taken, what is refused, and what a person is told.

use super::*;
use crate::config::service::{Access, LogFormat};

fn read_over(text: &str, variables: &[(&str, &str)]) -> Result<ServiceConfig, Vec<Wrong>> {
    parse(Path::new("s.toml"), text, &Environment::of(variables))
}

fn read(text: &str) -> Result<ServiceConfig, Vec<Wrong>> {
    read_over(text, &[])
}

const FULL: &str = r#"
[server]
listen = "127.0.0.1:9999"
connections_max = 7

[jobs]
memory = "2GiB"

[files]
roots = ["/srv/a", "/srv/b"]

[targets.ware-house]
address = "starrocks://loader@fe1:8030"
password = "hush"

[tokens.ops]
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
access = "admin"
"#;

#[test]
fn keys_that_are_left_out_have_their_defaults() {
    assert_eq!(read("").unwrap(), ServiceConfig::default());
    let config = read(FULL).unwrap();
    assert_eq!((config.server.listen.port(), config.server.connections_max), (9999, 7));
    assert_eq!((config.jobs.memory.0, config.jobs.running_max), (2 << 30, Jobs::defaults().running_max));
    assert_eq!(config.files.roots.len(), 2);
    assert_eq!(config.tokens["ops"].access, Access::Admin);
}

#[test]
fn the_environment_comes_before_the_file() {
    let variables = [
        ("SHIPLOAD_SERVER_LISTEN", "127.0.0.1:1"),
        ("SHIPLOAD_TARGETS_WARE_HOUSE_PASSWORD", "louder"),
        ("SHIPLOAD_JOBS_ANY_TARGET", "true"),
        ("SHIPLOAD_FILES_ROOTS", "/x,/y"),
        ("SHIPLOAD_LOG_FORMAT", "json"),
        ("SHIPLOAD_PASSWORD", "of the command line"),
    ];
    let config = read_over(FULL, &variables).unwrap();
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.targets["ware-house"].password.as_ref().unwrap().expose(), "louder");
    assert!(config.jobs.any_target && config.files.roots == [Path::new("/x"), Path::new("/y")]);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_way_out() {
    for (text, place, what, hint) in [
        ("[server]\nlisten = 5", "line 2", "`5` is not an address", "127.0.0.1:8070"),
        ("\n[sever]\n", "line 2", "no section [sever]", "`server`"),
        ("[server]\n\nlisen = \"x\"", "line 3", "no key `lisen` in [server]", "`listen`"),
        ("[jobs]\nmemory = \"much\"", "line 2", "`much` is not a size", "64MiB"),
        ("[jobs]\nmemory = { a = 1 }", "line 2", "no text", "a size"),
        ("[jobs]\nany_target = \"maybe\"", "line 2", "true or false", "true or false"),
        ("server = 1", "line 1", "is a section", "[server]"),
        ("[targets]\naddress = \"x\"", "line 2", "below a name", "[targets.NAME]"),
        ("[targets.\"a b\"]\naddress = \"x\"", "line 1", "no name", "letters"),
        ("[targets.a]\naddress = \"http:x\"", "line 2", "no address of a cluster", "starrocks://"),
        ("[targets.a]\naddress = \"starrocks://u@h/db/t\"", "line 2", "names a database", "without the path"),
        ("[targets.a]\naddress = \"starrocks://u:p@h\"", "line 2", "password in it", "password_file"),
        ("[targets.a]\nrunning_max = 2", "s.toml", "missing", "address ="),
        ("[tokens.a]\nsha256 = \"secret\"", "line 2", "no SHA-256", "sha256sum"),
        ("[tokens.a]\naccess = \"root\"", "line 2", "read, load or admin", "read, load or admin"),
        ("[server]\nlisten = \"0.0.0.0:80\"", "line 2", "anybody", "[tokens.NAME]"),
        ("[server]\ntls_key = \"k\"", "line 2", "without tls_certificate", "both"),
        ("[jobs]\njob_memory = \"2GiB\"", "s.toml", "do not hold one job", "raise memory"),
        ("[jobs]\nload_size = \"1GiB\"", "s.toml", "of memory do not hold", "lower load_size"),
        ("[jobs]\nbatch_memory = \"1MiB\"", "line 2", "head of an input", "at least 16"),
        ("[log]\nlevel = \"loud=x=y\"", "line 2", "", "it takes error"),
        #[cfg(feature = "otlp")]
        ("[traces]\nendpoint = \"fe:4318\"", "line 2", "no address of a collector", "http://127.0.0.1:4318"),
        #[cfg(not(feature = "otlp"))]
        ("[traces]\nendpoint = \"http://fe:4318\"", "line 2", "built without traces", "feature `otlp`"),
        ("a = ", "line 1", "", "TOML"),
    ] {
        let wrong = read(text).unwrap_err();
        let Wrong { place: at, what: said, hint: told } = &wrong[0];
        assert!(at.ends_with(place), "{text}: {wrong:?}");
        assert!(said.contains(what) && told.contains(hint), "{text}: {wrong:?}");
    }
}

#[test]
fn sections_with_names_may_be_written_as_a_list() {
    let list = "[files]\nroots = [\"/in\"]\n[targets.a]\naddress = \"starrocks://u@h\"\n\
                [[watch]]\nglob = \"/in/*.csv\"\ndatabase = \"d\"\ntable = \"t\"\n\
                [[watch]]\nname = \"other\"\nglob = \"/in/*.json\"\ndatabase = \"d\"\ntable = \"t\"\n";
    let config = read(list).unwrap();
    assert_eq!(config.watch.keys().collect::<Vec<_>>(), ["other", "t"]);
    assert_eq!(config.watch["other"].glob, "/in/*.json");
    assert_eq!(read(&config.to_toml()).unwrap(), config);
    for (rest, line, what, hint) in [
        ("[[watch]]\ndatabase = \"d\"", "line 14", "has no name", "[watch.NAME]"),
        ("[[watch]]\nname = \"a b\"", "line 14", "has no name", "letters"),
        ("[[watch]]\ntable = \"t\"", "line 14", "two of [[watch]] are called `t`", "another name"),
        ("[[watch]]\nname = \"x\"\ntabel = \"t\"", "line 16", "no key `tabel` in [watch.x]", "`table`"),
        ("[[server]]", "line 14", "is a section", "[server]"),
    ] {
        let wrong = read(&format!("{list}{rest}")).unwrap_err();
        let Wrong { place, what: said, hint: told } = &wrong[0];
        assert!(place.ends_with(line) && said.contains(what) && told.contains(hint), "{rest}: {wrong:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let wrong = read("[server]\nlisten = 5\nx = 1\n[jobs]\nmemory = true").unwrap_err();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

#[test]
fn a_variable_that_means_nothing_is_an_error() {
    let wrong = read_over("", &[("SHIPLOAD_SERVER_LISEN", "x")]).unwrap_err();
    assert!(wrong[0].place.contains("SHIPLOAD_SERVER_LISEN"), "{wrong:?}");
    assert!(wrong[0].hint.contains("SHIPLOAD_SERVER_LISTEN"), "{wrong:?}");
    let wrong = read_over("", &[("SHIPLOAD_SERVER_LISTEN", "x")]).unwrap_err();
    assert!(wrong[0].what.contains("`x` is not an address"), "{wrong:?}");
}

#[test]
fn what_is_shown_has_no_secret_and_can_be_read_again() {
    let config = read(FULL).unwrap();
    let shown = config.to_toml();
    assert!(!shown.contains("hush") && shown.contains("password = \"***\""), "{shown}");
    let again = read(&shown).unwrap();
    assert_eq!(again.to_toml(), shown);
    assert_eq!(again.jobs, config.jobs);
}

#[test]
fn a_difference_says_whether_it_can_be_taken_over() {
    let before = read("[server]\nlisten = \"127.0.0.1:1\"").unwrap();
    let after = read("[jobs]\nrunning_max = 3\n[targets.a]\naddress = \"sandbox:\"").unwrap();
    let differences = before.differences(&after);
    assert!(differences.contains(&("server.listen".into(), false)), "{differences:?}");
    assert!(differences.contains(&("jobs.running_max".into(), true)), "{differences:?}");
    assert!(differences.contains(&("targets.a.address".into(), true)), "{differences:?}");
    assert_eq!(before.differences(&before), []);
}
