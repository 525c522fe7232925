//! Sends a pack and asks for references to be moved, and reads what became of each.

use super::super::repository::Pushed;
use super::answer::{Meaning, clean, meaning};
use super::failure::Failure;
use super::pkt::{self, Bands, Packet, broken};
use super::wire::Wire;
use crate::error::Result;
use crate::model::tree::ObjectId;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// A reference to be moved.
#[derive(Clone, Copy)]
pub(in super::super) struct Command<'a> {
    /// Where it is; `None`: it does not exist.
    pub(in super::super) old: Option<ObjectId>,
    /// Where it shall be.
    pub(in super::super) new: ObjectId,
    /// Its full name.
    pub(in super::super) name: &'a str,
}

/// The server's account of a push.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// `ok`, or why the pack was not taken.
    unpack: String,
    /// Per reference: `None` if it was moved, else why not.
    references: BTreeMap<String, Option<String>>,
    /// What hooks and the server wrote for people.
    words: String,
}

/// The outcome of one reference; `Unclear` asks the caller to look where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Outcome {
    Known(Pushed),
    Unclear(String),
}

/// How a push is made.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct How {
    /// The server can send its words beside its report.
    pub(in super::super) side_band: bool,
    /// All references move, or none.
    pub(in super::super) atomic: bool,
}

/// Pushes references; returns the outcome of each, in the order of the commands.
pub(in super::super) fn push(
    wire: &Wire,
    how: How,
    commands: &[Command<'_>],
    pack: &[u8],
) -> Result<Vec<Outcome>> {
    let body = request(how, commands, pack);
    let all = |pushed: Pushed| vec![Outcome::Known(pushed); commands.len()];
    match wire.call("git-receive-pack", body, |reader| read_report(reader, how.side_band)) {
        Ok(report) => Ok(commands.iter().map(|command| judge(&report, command.name)).collect()),
        Err(failure @ Failure::Status { code: 401 | 403 | 404, .. }) => {
            Err(wire.error("cannot push to", &failure))
        }
        Err(failure @ Failure::Status { code: 413, .. }) => Ok(all(Pushed::Refused(failure.words()))),
        Err(failure @ (Failure::Redirect(_) | Failure::Denied(_))) => {
            Err(wire.error("cannot push to", &failure))
        }
        // Whether the server did it before the failure is not to be known from here.
        Err(failure) => Ok(all(Pushed::Unknown(failure.words()))),
    }
}

fn request(how: How, commands: &[Command<'_>], pack: &[u8]) -> Vec<u8> {
    let none = ObjectId::from_bytes([0; 20]);
    let bands = if how.side_band { " side-band-64k" } else { "" };
    let atomic = if how.atomic { " atomic" } else { "" };
    let agent = concat!("hydrant/", env!("CARGO_PKG_VERSION"));
    let mut body = Vec::with_capacity(pack.len() + 512);
    for (place, command) in commands.iter().enumerate() {
        let mut line = format!("{} {} {}", command.old.unwrap_or(none), command.new, command.name);
        if place == 0 {
            line.push_str(&format!("\0 report-status{bands}{atomic} agent={agent}"));
        }
        pkt::write(&mut body, line.as_bytes());
    }
    pkt::flush(&mut body);
    body.extend_from_slice(pack);
    body
}

fn read_report(reader: &mut dyn Read, side_band: bool) -> io::Result<Report> {
    if !side_band {
        return read_lines(reader);
    }
    let mut bands = Bands::new(reader, None)?;
    let report = read_lines(&mut bands);
    let words = clean(&String::from_utf8_lossy(&bands.progress));
    match report {
        Ok(report) => Ok(Report { words, ..report }),
        // A hook may have said why the server gave up.
        Err(e) if !words.is_empty() => Err(io::Error::new(e.kind(), format!("{e}: {words}"))),
        Err(e) => Err(e),
    }
}

fn read_lines(reader: &mut dyn Read) -> io::Result<Report> {
    let mut report = Report::default();
    loop {
        let line = match pkt::read(reader)? {
            Some(Packet::Data(line)) => pkt::text(&line),
            Some(Packet::Flush) => break,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if let Some(unpack) = line.strip_prefix("unpack ") {
            report.unpack = unpack.to_owned();
        } else if let Some(name) = line.strip_prefix("ok ") {
            report.references.insert(name.to_owned(), None);
        } else if let Some((name, why)) = line.strip_prefix("ng ").and_then(|rest| rest.split_once(' ')) {
            report.references.insert(name.to_owned(), Some(why.to_owned()));
        } else {
            return Err(broken("an unexpected line in the report"));
        }
    }
    if report.unpack.is_empty() { Err(broken("a report without result")) } else { Ok(report) }
}

fn judge(report: &Report, name: &str) -> Outcome {
    let mut reasons = Vec::new();
    if report.unpack != "ok" {
        reasons.push(report.unpack.clone());
    }
    match report.references.get(name) {
        Some(None) if reasons.is_empty() => return Outcome::Known(Pushed::Landed),
        Some(None) => {}
        Some(Some(why)) => reasons.push(why.clone()),
        None => {
            return Outcome::Known(Pushed::Unknown("the server's report does not name the branch".into()));
        }
    }
    let reason = reasons.join(": ");
    let shown =
        clean(&if report.words.is_empty() { reason.clone() } else { format!("{reason}\n{}", report.words) });
    // The reason alone decides: a hook's words are free text and may speak of anything.
    match meaning(&reason) {
        Meaning::Race => Outcome::Known(Pushed::Raced),
        Meaning::Policy => Outcome::Known(Pushed::Refused(shown)),
        Meaning::Unclear => Outcome::Unclear(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut out = Vec::new();
        lines.iter().for_each(|line| pkt::write(&mut out, line.as_bytes()));
        pkt::flush(&mut out);
        read_lines(&mut out.as_slice()).unwrap()
    }

    #[test]
    fn only_a_report_that_names_the_branch_is_a_success() {
        let main = "refs/heads/main";
        let known = |lines: &[&str]| match judge(&report(lines), main) {
            Outcome::Known(pushed) => pushed,
            Outcome::Unclear(text) => panic!("unclear: {text}"),
        };
        assert_eq!(known(&["unpack ok\n", "ok refs/heads/main\n"]), Pushed::Landed);
        assert!(matches!(known(&["unpack ok\n"]), Pushed::Unknown(_)));
        assert_eq!(known(&["unpack ok\n", "ng refs/heads/main fetch first\n"]), Pushed::Raced);
        let refused = known(&["unpack ok\n", "ng refs/heads/main pre-receive hook declined\n"]);
        assert_eq!(refused, Pushed::Refused("pre-receive hook declined".into()));
        let odd = judge(
            &report(&["unpack index-pack abnormal exit\n", "ng refs/heads/main unpacker error\n"]),
            main,
        );
        assert_eq!(odd, Outcome::Unclear("index-pack abnormal exit: unpacker error".into()));
        assert!(read_lines(&mut b"0000".as_slice()).is_err());
        assert!(read_lines(&mut b"000eunpack ok\n".as_slice()).is_err());
    }
}
