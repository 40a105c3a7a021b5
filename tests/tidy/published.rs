//! What a registry's page shows of each package of ours, and what goes into it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::cargo;

/// Those that are published: name, manifest's folder, and what Cargo says of them.
fn packages() -> Vec<(String, Value)> {
    let said = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let mut metadata: Value = serde_json::from_str(&said).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("no packages: {metadata}");
    };
    let published = |package: &Value| {
        package["publish"]
            .as_array()
            .is_none_or(|to| !to.is_empty())
    };
    packages
        .into_iter()
        .filter(published)
        .map(|package| (package["name"].as_str().unwrap().to_owned(), package))
        .collect()
}

fn folder(package: &Value) -> &Path {
    let manifest = package["manifest_path"].as_str().unwrap();
    Path::new(manifest).parent().unwrap()
}

#[test]
fn each_package_says_what_it_is_and_brings_its_licences() {
    let packages = packages();
    assert!(packages.len() >= 4, "{packages:#?}");
    for (name, package) in packages {
        for field in ["description", "license", "documentation", "rust_version"] {
            assert!(package[field].is_string(), "{name} has no {field}");
        }
        for (field, most) in [("keywords", 5), ("categories", 5)] {
            let number = package[field].as_array().map_or(0, Vec::len);
            assert!((1..=most).contains(&number), "{name}: {number} {field}");
        }
        let folder = folder(&package);
        let readme = folder.join(package["readme"].as_str().unwrap_or("README.md"));
        let page = fs::read_to_string(&readme).unwrap();
        assert!(page.contains("```"), "{name}: {readme:?} shows nothing");
        // Through links: what the package gets is the file.
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let text = fs::read(folder.join(licence)).unwrap();
            assert_eq!(text, fs::read(super::top().join(licence)).unwrap());
        }
    }
}

/// No benchmarks or results of them, no tests: they need what is not published.
#[test]
fn a_package_is_its_sources_and_its_pages() {
    for (name, _) in packages() {
        let list = cargo(&["package", "--list", "--allow-dirty", "--package", &name]);
        for file in list.lines() {
            let first = file.split('/').next().unwrap();
            let foreign = ["BENCHMARKS.md", "target", "tests", "benches", ".ci"];
            assert!(!foreign.contains(&first), "{name} has {file}");
        }
        assert!(list.lines().any(|file| file == "README.md"), "{name}");
    }
}
