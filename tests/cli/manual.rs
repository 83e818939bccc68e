//! Manual pages and completions, as packages install them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::World;

#[test]
fn every_verb_has_a_page_and_every_shell_its_completions() {
    let world = World::new();
    let ran = world.run(&["man", "pages"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "man pages/shipload.1\n"), "{}", ran.stderr);
    let pages = fs::read_dir(world.path().join("pages")).unwrap().map(|page| page.unwrap().file_name());
    let pages: BTreeSet<String> = pages.map(|name| name.into_string().unwrap()).collect();
    for page in ["shipload.1", "shipload-import.1", "shipload-serve.1", "shipload-cluster-health.1"] {
        assert!(pages.contains(page), "{page} is missing: {pages:?}");
    }
    let import = fs::read_to_string(world.path().join("pages/shipload-import.1")).unwrap();
    assert!(import.starts_with(".ie") && import.contains("max\\-rejects"), "{import}");

    for shell in ["bash", "zsh", "fish"] {
        let ran = world.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("max-rejects"), "{shell}: {}", ran.stderr);
        world.file(shell, &ran.stdout);
    }
    // A shell that every machine has finds the script good.
    let parsed = Command::new("bash").arg("-n").arg(world.path().join("bash")).output().unwrap();
    assert!(parsed.status.success(), "{parsed:?}");
    assert_eq!(world.run(&["completions", "dos"]).code, 2);
    world.file("file", "");
    assert_eq!(world.run(&["man", "file/below"]).code, 1);
}
