//! A mistake that somebody could make in the library, and how a copy of the source gets it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A mistake, and where it is made.
pub(super) struct Mutant {
    pub(super) what: &'static str,
    pub(super) edits: &'static [Edit],
}

/// A change of a file.
pub(super) struct Edit {
    /// Within `src`.
    pub(super) file: &'static str,
    /// Stands there once.
    pub(super) from: &'static str,
    /// In its place; `MUTATED` says whether the mistake is switched on.
    pub(super) to: &'static str,
}

macro_rules! mutants {
    ($($what:literal { $($file:literal: $from:literal => $to:literal,)+ })*) => {
        &[$(Mutant {
            what: $what,
            edits: &[$(Edit { file: $file, from: $from, to: $to },)+],
        },)*]
    };
}
pub(super) use mutants;

/// Finds the source files of `repository` below `path`.
pub(super) fn collect(repository: &Path, path: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(repository.join(path)).expect("a directory") {
        let path = path.join(entry.expect("an entry").file_name());
        let whole = repository.join(&path);
        if whole.is_dir() {
            collect(repository, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path, fs::read_to_string(whole).expect("a source file"));
        }
    }
}

/// Puts a mistake behind its switch.
pub(super) fn mutate(files: &mut BTreeMap<PathBuf, String>, number: usize, mutant: &Mutant) {
    for edit in mutant.edits {
        let path = Path::new("src").join(edit.file);
        let text = files.get_mut(&path).expect("the file of a mistake");
        let found = text.matches(edit.from).count();
        assert_eq!(found, 1, "{}: {}: {}", mutant.what, edit.file, edit.from);
        let switch = format!("crate::mutated({number})");
        *text = text.replace(edit.from, &edit.to.replace("MUTATED", &switch));
    }
}

/// Writes a file, unless it says that already, so that nothing is built twice.
pub(super) fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}
