//! `doctor`: looks at everything that decides how fast ringseal is on this host, and says what to
//! change.

mod advice;
mod choice;
mod ciphers;
mod cpu_quota;
mod findings;
mod hints;
mod huge_pages;
mod json_report;
mod kernel_files;
mod locked_memory;
mod native_ciphers;
mod problem;
mod processors;
mod restrictions;
mod text_report;

use std::process::ExitCode;

use crate::args::DoctorArgs;
use crate::failure::{self, Failure};
use crate::stdio;
use advice::Advice;
use choice::Verdict;
use findings::Findings;

pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    let findings = Findings::take(args.seconds);
    let advice = Advice::on(&findings);
    let report = if args.json {
        json_report::write(&findings, &advice).to_string()
    } else {
        text_report::write(&findings, &advice)
    };
    match stdio::print(&report) {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::from(findings.choice.verdict() as u8),
        Err(Failure::Failed(text)) => {
            failure::warn(&text);
            ExitCode::from(Verdict::Nothing as u8)
        }
    }
}
