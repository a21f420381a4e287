//! Hands the build's circumstances to `build_info.rs`. The commit is read from the checkout's own files, so git is not needed;
//! a source archive has no checkout, and then it is `unknown`.

use std::path::{Path, PathBuf};
use std::process::Command;

const UNKNOWN: &str = "unknown";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    set("PROFILE", std::env::var("PROFILE").ok());
    set("TARGET", std::env::var("TARGET").ok());
    set("RUSTC", rustc());
    set("COMMIT", checkout().and_then(|checkout| commit(&checkout)));
}

fn set(name: &str, value: Option<String>) {
    let value = value.unwrap_or_else(|| UNKNOWN.to_owned());
    println!("cargo::rustc-env=TRUNKLINE_{name}={value}");
}

fn rustc() -> Option<String> {
    let said = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let version = String::from_utf8(said.stdout).ok()?;
    version.split_whitespace().nth(1).map(str::to_owned)
}

/// The folder with HEAD, if this is a checkout of the whole repository; an unpacked source archive may lie in somebody else's.
fn checkout() -> Option<PathBuf> {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let root = here.ancestors().nth(3).filter(|_| here.ends_with("native/crates/pybridge"))?;
    Some(root.join(".git"))
}

/// gitrepository-layout(5): HEAD holds the commit, or names the file that does, or that file was packed away.
fn commit(checkout: &Path) -> Option<String> {
    let head = read(&checkout.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else { return Some(head) };
    read(&checkout.join(reference)).or_else(|| {
        let packed = read(&checkout.join("packed-refs"))?;
        packed.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))
    })
}

fn read(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    println!("cargo::rerun-if-changed={}", file.display());
    Some(text.trim().to_owned())
}
