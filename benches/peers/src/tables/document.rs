//! A Markdown document of which parts, between markers, are written by a program.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Ends every part.
const END: &str = "\n\n<!-- end of figures -->";

/// The document.
pub(super) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// What stands between the markers of `name`.
    pub(super) fn region(&self, name: &str) -> Result<&str, String> {
        Ok(&self.text[self.range(name)?])
    }

    /// Puts `text` between the markers of `name`.
    pub(super) fn replace(&mut self, name: &str, text: &str) -> Result<(), String> {
        let range = self.range(name)?;
        self.text.replace_range(range, text);
        Ok(())
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    fn range(&self, name: &str) -> Result<Range<usize>, String> {
        let begin = format!("<!-- figures: {name} -->\n\n");
        let path = self.path.display();
        let start = self
            .text
            .find(&begin)
            .ok_or_else(|| format!("{path} has no line `{}`", begin.trim_end()))?
            + begin.len();
        let length = self.text[start..]
            .find(END)
            .ok_or_else(|| format!("{path} has no line `{}` behind it", END.trim_start()))?;
        Ok(start..start + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document {
            path: PathBuf::from("document"),
            text: text.to_owned(),
        }
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let before = "a\n\n<!-- figures: one -->\n\nold\n\n<!-- end of figures -->\n\nb\n";
        let mut document = document(before);
        assert_eq!(document.region("one"), Ok("old"));
        document.replace("one", "new\nlines").expect("it is there");
        let after = "a\n\n<!-- figures: one -->\n\nnew\nlines\n\n<!-- end of figures -->\n\nb\n";
        assert_eq!(document.text(), after);
    }

    #[test]
    fn a_missing_marker_is_named() {
        let text = "<!-- figures: one -->\n\nnothing ends it\n";
        let error = document(text).region("one").expect_err("no end");
        assert!(error.contains("end of figures"), "{error}");
        let error = document(text).region("two").expect_err("no begin");
        assert!(error.contains("figures: two"), "{error}");
    }
}
