//! What stands in the README and under docs/ is so: examples run, tables are whole, links lead somewhere.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fixture::docs::{Page, anchor, in_language, links, page, pages, root};
use fixture::folder::Folder;
use twice_core::health::State;
use twice_core::outcome::Reason;
use twice_core::source::figures::{ServerStat, Stat};
use twice_core::template::{Compiler, Delimiters, Escape, Limits, Start};

use crate::shell;

/// All files below a folder of the repository with this ending, in one text without white space at line breaks.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.extend(fs::read_to_string(&path).unwrap().lines().map(str::trim));
        }
    }
}

#[test]
fn a_test_runs_each_example() {
    let mut tests = String::new();
    for folder in ["tests/nginx", "tests/commands"] {
        sources(&root().join(folder), &mut tests);
    }
    for page in pages() {
        for example in &page.examples {
            let wherever = format!("in_language({:?})", example.language);
            let here = format!("examples({:?}, {:?})", example.heading, example.language);
            assert!(
                tests.contains(&wherever) || tests.contains(&here),
                "{}: no test has {here}, which would run this:\n{}",
                page.name,
                example.text
            );
        }
    }
}

#[test]
fn every_command_does_what_it_says() {
    for line in in_language("sh").concat().lines() {
        let command = line.split('#').next().unwrap().trim();
        if command.starts_with("sudo install") {
            let folder = Folder::new();
            let command =
                command.replace("sudo ", "").replace("/usr/lib", &folder.path().display().to_string());
            shell(&command);
            assert!(folder.path().join("nginx/modules/ngx_http_twice_module.so").is_file());
        } else if let Some((source, script)) = command.split_once(' ') {
            // The source that it names is nobody's: that is told, and nothing is built for another nginx instead.
            assert!(source.starts_with("TWICE_NGINX_SOURCE="), "no test runs {line:?}");
            let (name, path) = source.split_once('=').unwrap();
            let output = Command::new(root().join(script)).env(name, path).output().unwrap();
            assert!(!output.status.success());
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains(&format!("{source} is no folder")), "{told}");
        } else {
            // One is run by another test here, the other one runs us.
            assert!(["scripts/demo", "scripts/test"].contains(&command), "no test runs {line:?}");
        }
    }
}

#[test]
fn every_script_that_is_named_is_there() {
    for Page { name, prose, .. } in pages() {
        for rest in prose.iter().flat_map(|line| line.split("`scripts/").skip(1)) {
            let script = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap();
            let file = fs::metadata(root().join("scripts").join(script));
            let runs = file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
            assert!(runs, "{name}: there is no scripts/{script}");
        }
    }
}

#[test]
fn every_configuration_is_good() {
    let output = Command::new(root().join("scripts/build")).output().unwrap();
    let module = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
    let folder = Folder::new();
    for block in in_language("nginx") {
        let conf = block.replace("modules/ngx_http_twice_module.so", &module);
        folder.write("nginx.conf", format!("pid nginx.pid;\n{conf}"));
        let output = Command::new("nginx")
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()))
            .args(["-t", "-c", "nginx.conf", "-e", "stderr", "-p"])
            .arg(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        // Debian's own folders belong to root: for anybody else that is the one thing nginx may say.
        let told = text.lines().filter(|line| !line.contains("/var/l"));
        let errors: Vec<_> =
            told.filter(|line| line.contains("[emerg]") || line.contains("[error]")).collect();
        assert!(errors.is_empty(), "{block}{text}");
        assert!(output.status.success() || text.contains("/var/l"), "{block}{text}");
    }
}

#[test]
fn every_tag_compiles() {
    let delimiters = Arc::new(Delimiters::default());
    let sources = ["memcache", "viewdb", "session", "unread"].map(Box::from).into();
    let escape = Escape::Auto(Start::Html);
    let mut compiler = Compiler::new(delimiters, escape, Limits::default(), sources);
    let tags = page("docs/tags.md");
    let rows: Vec<_> = tags.prose.iter().filter(|line| line.starts_with("| `<& ")).cloned().collect();
    assert!(rows.len() >= 6);
    compiler.feed((rows.join("\n") + "\n" + &in_language("html").concat()).as_bytes());
    compiler.finish();
    assert!(compiler.tags() as usize > rows.len() && compiler.errors().is_empty(), "{:?}", compiler.errors());
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut reached = HashSet::from(["README.md".to_owned()]);
    for Page { name, prose, .. } in &pages {
        for link in prose.iter().flat_map(|line| links(line)) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((&link, ""));
            let file = match (file, name.starts_with("docs/")) {
                ("", _) => name.clone(),
                (file, false) => file.to_owned(),
                (file, true) => {
                    file.strip_prefix("../").map_or_else(|| format!("docs/{file}"), str::to_owned)
                }
            };
            assert!(root().join(&file).is_file(), "{name}: {link:?} leads to no file");
            if !place.is_empty() {
                let page = pages.iter().find(|page| page.name == file);
                let there = page.is_some_and(|page| page.headings.iter().any(|it| anchor(it) == place));
                assert!(there, "{name}: {link:?} leads to no heading");
            }
            if name == "README.md" {
                reached.insert(file);
            }
        }
    }
    for page in &pages {
        assert!(reached.contains(&page.name), "the README does not lead to {}", page.name);
    }
}

#[test]
fn a_heading_with_examples_stands_in_one_place() {
    // Stories find them by it.
    let pages = pages();
    let headings: Vec<_> = pages.iter().flat_map(|page| &page.headings).collect();
    for example in pages.iter().flat_map(|page| &page.examples) {
        let places = headings.iter().filter(|heading| **heading == &example.heading).count();
        assert_eq!(places, 1, "{:?}", example.heading);
    }
}

/// The names in `ngx_string!("...")` of a file of the border.
fn names(file: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let names = text.split("ngx_string!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    names.collect()
}

#[test]
fn every_directive_and_variable_has_its_place() {
    let readme = page("README.md").prose.join("\n");
    let full = fs::read_to_string(root().join("nginx-conf/full.conf")).unwrap();
    let directives = names("src/conf/directives.rs");
    assert!(directives.len() > 40 && directives.iter().any(|name| name == "twice"));
    for name in directives {
        assert!(readme.contains(&format!("\n| `{name} ")), "the README has no row for {name}");
        let stands =
            full.lines().any(|line| line.trim().trim_start_matches("# ").starts_with(&format!("{name} ")));
        assert!(stands, "nginx-conf/full.conf lacks {name}");
    }
    let variables = names("src/variables.rs");
    assert!(variables.len() > 5);
    for name in variables {
        assert!(readme.contains(&format!("`${name}`")), "the README lacks ${name}");
    }
}

#[test]
fn the_readme_has_every_reason() {
    let rows = page("README.md").prose;
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} |", reason.as_str(), reason.help());
        assert!(rows.contains(&row), "the README lacks {row}");
    }
}

#[test]
fn the_page_of_figures_has_every_one_of_sources_and_servers() {
    let page = page("docs/running.md");
    let of_sources = Stat::ALL.iter().map(|stat| (stat.as_str(), stat.help()));
    let of_servers = ServerStat::ALL.iter().map(|stat| (stat.as_str(), stat.help()));
    for (name, help) in of_sources.chain(of_servers) {
        let row = format!("| `{name}` | {help} |");
        assert!(page.prose.contains(&row), "{} lacks {row}", page.name);
    }
    for state in State::ALL {
        let name = format!("`{}`", state.as_str());
        assert!(page.prose.iter().any(|line| line.contains(&name)), "{} lacks {name}", page.name);
    }
}
