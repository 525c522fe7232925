//! From bytes to [`Node`]s, within bounds.

use super::node::{Data, Entry, Mark, Node, Scalar};
use super::simple;
use crate::error::{Origin, Violation};
use serde_yaml::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// What reading one file may cost. Untrusted files get the small set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The size of the text in bytes.
    pub bytes: usize,
    /// How deep collections may nest.
    pub depth: usize,
    /// How many nodes there may be once aliases are resolved.
    pub nodes: usize,
    /// How many bytes of scalars there may be once aliases are resolved.
    pub scalar_bytes: usize,
    /// How many documents.
    pub documents: usize,
    /// How many of the nodes may come from aliases.
    pub repeated: usize,
    /// Whether a leading byte order mark is an error (true for files people write for us).
    pub refuse_bom: bool,
}

impl Limits {
    /// For what teams write: definitions, bindings, values, templates.
    pub const fn inputs() -> Self {
        Self {
            bytes: 4 << 20,
            depth: 64,
            nodes: 200_000,
            scalar_bytes: 8 << 20,
            documents: 10_000,
            repeated: 200_000,
            refuse_bom: true,
        }
    }

    /// For manifests of others (`hydrant build`, CRDs): larger, and as lenient as kustomize.
    pub const fn manifests() -> Self {
        Self {
            bytes: 256 << 20,
            depth: 200,
            nodes: 20_000_000,
            scalar_bytes: 512 << 20,
            documents: 1_000_000,
            repeated: 1_000_000,
            refuse_bom: false,
        }
    }
}

/// Why a text is not the YAML we take, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The place; line 0 for the file as a whole.
    pub at: Mark,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl YamlError {
    /// Returns an error at a place.
    pub fn new(at: Mark, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns it as a violation of a file.
    pub fn in_file(self, file: &Arc<str>) -> Violation {
        let mut v = Violation::error(self.message).at(Origin::at(file.clone(), self.at.line, self.at.column));
        v.hint = self.hint;
        v
    }
}

/// Reads all documents of a text. Empty documents are left out.
///
/// # Errors
/// The first thing that is not YAML, is not UTF-8, or exceeds the limits.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, YamlError> {
    let text = decode(bytes, limits)?;
    match simple::read(text, limits) {
        Some(documents) => Ok(documents),
        None => Builder::new(text, limits).documents(),
    }
}

/// Reads as [`read`] does, always with the full parser: what the quick reader is held to.
///
/// # Errors
/// As [`read`].
pub fn read_in_full(bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, YamlError> {
    Builder::new(decode(bytes, limits)?, limits).documents()
}

/// Returns true if [`read`] needs the quick reader alone for this text.
pub fn is_simple(bytes: &[u8], limits: &Limits) -> bool {
    decode(bytes, limits).is_ok_and(|text| simple::read(text, limits).is_some())
}

/// Reads a text that must hold exactly one document.
///
/// # Errors
/// As [`read`]; also when the text holds none or several.
pub fn read_one(bytes: &[u8], limits: &Limits) -> Result<Node, YamlError> {
    let mut documents = read(bytes, limits)?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        0 => Err(YamlError::new(Mark::default(), "the file is empty")),
        _ => Err(YamlError::new(documents[1].at, "a second document in a file that takes one")
            .hint("remove the `---` or split the file")),
    }
}

fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, YamlError> {
    let whole = Mark::default();
    if bytes.len() > limits.bytes {
        return Err(YamlError::new(
            whole,
            format!("the file has {} bytes, more than the {} allowed", bytes.len(), limits.bytes),
        )
        .hint("split it into several files"));
    }
    let mut bytes = bytes;
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        if limits.refuse_bom {
            return Err(YamlError::new(
                Mark { line: 1, column: 1 },
                "the file begins with a byte order mark (BOM)",
            )
            .hint("save it as UTF-8 without BOM"));
        }
        bytes = rest;
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(
            YamlError::new(Mark { line: 1, column: 1 }, "the file is UTF-16").hint("save it as UTF-8")
        );
    }
    std::str::from_utf8(bytes).map_err(|e| {
        let good = &bytes[..e.valid_up_to()];
        let line = good.iter().filter(|b| **b == b'\n').count() as u32 + 1;
        let start = good.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let column = String::from_utf8_lossy(&good[start..]).chars().count() as u32 + 1;
        YamlError::new(
            Mark { line, column },
            format!("the file is not UTF-8: byte 0x{:02x} cannot stand here", bytes[e.valid_up_to()]),
        )
        .hint("save it as UTF-8")
    })
}

/// An anchored node and what it costs to repeat it.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

struct Builder<'t> {
    events: Parser<'t, serde_yaml::granit_parser::StrInput<'t>>,
    text: &'t str,
    /// The length of the text in characters, if it does not end in a line break.
    cut_off: Option<usize>,
    limits: Limits,
    nodes: usize,
    repeated: usize,
    scalar_bytes: usize,
    anchors: HashMap<usize, Anchored>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, limits: &Limits) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = limits.depth;
        options.block_nesting_limit = limits.depth;
        Self {
            events: Parser::new_from_str_with_options(text, options),
            text,
            cut_off: (!text.ends_with('\n')).then(|| text.chars().count()),
            limits: *limits,
            nodes: 0,
            repeated: 0,
            scalar_bytes: 0,
            anchors: HashMap::new(),
        }
    }

    fn documents(mut self) -> Result<Vec<Node>, YamlError> {
        let mut documents = Vec::new();
        while let Some(event) = self.next()? {
            match event {
                (Event::DocumentStart(..), _) => {
                    self.anchors.clear();
                    let Some((event, span)) = self.next()? else { break };
                    let node = self.node(event, span, 0)?;
                    if !is_empty(&node) {
                        documents.push(node);
                    }
                    if documents.len() > self.limits.documents {
                        return Err(YamlError::new(
                            mark(&span.start),
                            format!("more than {} documents in one file", self.limits.documents),
                        ));
                    }
                }
                (Event::StreamEnd, _) => break,
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlError> {
        match self.events.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(e)) => Err(self.explain(&e)),
        }
    }

    fn expect(&mut self, open: Mark) -> Result<(Event<'t>, Span), YamlError> {
        self.next()?.ok_or_else(|| YamlError::new(open, "the text ends inside this collection"))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, YamlError> {
        let at = mark(&span.start);
        self.count(at, 1, 0)?;
        if depth > self.limits.depth {
            return Err(too_deep(at, self.limits.depth));
        }
        let (nodes_before, bytes_before) = (self.nodes, self.scalar_bytes);
        let (node, anchor) = match event {
            Event::Alias(id) => return self.repeat(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(at, 0, text.len())?;
                // The parser writes `~` for a value that is not there.
                let blank = style == ScalarStyle::Plain && span.start.index() == span.end.index();
                let mut text = if blank { String::new() } else { text.into_owned() };
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if block && self.cut_off.is_some_and(|end| span.end.index() >= end) {
                    // A block that the end of the text cuts off has no line break at its end.
                    text.truncate(text.trim_end_matches('\n').len());
                }
                let scalar =
                    Scalar { text, plain: style == ScalarStyle::Plain, tag: tag.map(|t| tag_name(&t)) };
                (Node { at, data: Data::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(at, tag.as_deref(), "seq")?;
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.expect(at)?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
                (Node { at, data: Data::Seq(items) }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(at, tag.as_deref(), "map")?;
                (self.mapping(at, depth)?, anchor)
            }
            _ => return Err(YamlError::new(at, "this is not where a value can stand")),
        };
        if anchor != 0 {
            let cost = Anchored {
                node: node.clone(),
                nodes: self.nodes - nodes_before + 1,
                bytes: self.scalar_bytes - bytes_before,
            };
            self.anchors.insert(anchor, cost);
        }
        Ok(node)
    }

    fn mapping(&mut self, at: Mark, depth: usize) -> Result<Node, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merges: Vec<Node> = Vec::new();
        let mut seen: HashMap<String, Mark> = HashMap::new();
        loop {
            let (event, span) = self.expect(at)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.expect(at)?;
            let value = self.node(event, span, depth + 1)?;
            let Data::Scalar(scalar) = key.data else {
                return Err(YamlError::new(key.at, "a key must be text, not a collection")
                    .hint("quote it if it begins with `{` or `[`, as in `\"{a}\": value`"));
            };
            if scalar.plain && scalar.text == "<<" {
                merges.push(value);
                continue;
            }
            if let Some(first) = seen.insert(scalar.text.clone(), key.at) {
                return Err(YamlError::new(
                    key.at,
                    format!("the key `{}` stands twice; the first is on line {}", scalar.text, first.line),
                )
                .hint("keep one of the two"));
            }
            entries.push(Entry { key: scalar.text, key_at: key.at, key_plain: scalar.plain, value });
        }
        for merge in merges {
            merge_into(&mut entries, merge)?;
        }
        Ok(Node { at, data: Data::Map(entries) })
    }

    fn repeat(&mut self, id: usize, at: Mark) -> Result<Node, YamlError> {
        let Some(found) = self.anchors.get(&id) else {
            return Err(YamlError::new(at, "an alias stands inside the very node it names"));
        };
        let (nodes, bytes) = (found.nodes, found.bytes);
        self.count(at, nodes, bytes)?;
        self.repeated += nodes;
        if self.repeated > self.limits.repeated {
            let message = format!("aliases repeat more than the {} nodes allowed", self.limits.repeated);
            return Err(YamlError::new(at, message).hint(
                "an alias that repeats aliases grows without end; write the values out or split the file",
            ));
        }
        let mut node = self.anchors[&id].node.clone();
        node.at = at;
        Ok(node)
    }

    fn count(&mut self, at: Mark, nodes: usize, bytes: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        self.scalar_bytes += bytes;
        if self.nodes > self.limits.nodes {
            return Err(YamlError::new(
                at,
                format!(
                    "the document has more than {} nodes once its aliases are resolved",
                    self.limits.nodes
                ),
            )
            .hint(
                "an alias that repeats aliases grows without end; write the values out or split the file",
            ));
        }
        if self.scalar_bytes > self.limits.scalar_bytes {
            return Err(YamlError::new(
                at,
                format!(
                    "the document holds more than {} bytes of text once its aliases are resolved",
                    self.limits.scalar_bytes
                ),
            )
            .hint(
                "an alias that repeats a long text grows without end; write the values out or split the file",
            ));
        }
        Ok(())
    }

    /// Puts the parser's errors into the words of the user's mistake.
    fn explain(&self, e: &ScanError) -> YamlError {
        let at = mark(e.marker());
        let info = e.info();
        let line = self.text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or("");
        let indent: &str = &line[..line.len() - line.trim_start().len()];
        if indent.contains('\t') || info.contains("tab") {
            let line_of_tab = if indent.contains('\t') { at } else { self.tab_near(at) };
            return YamlError::new(line_of_tab, "a tab stands where YAML wants spaces")
                .hint("indent with spaces");
        }
        if info.contains("nesting") || info.contains("recursion") || info.contains("depth") {
            return too_deep(at, self.limits.depth);
        }
        YamlError::new(at, format!("this is not YAML: {}", info.trim_end_matches('.')))
    }

    fn tab_near(&self, at: Mark) -> Mark {
        let from = at.line.saturating_sub(2).max(1);
        for line in from..=at.line {
            let text = self.text.lines().nth(line as usize - 1).unwrap_or("");
            if let Some(i) = text.chars().position(|c| c == '\t') {
                return Mark { line, column: i as u32 + 1 };
            }
        }
        at
    }
}

fn too_deep(at: Mark, depth: usize) -> YamlError {
    YamlError::new(at, format!("collections nest deeper than {depth} levels"))
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar(s) if s.plain && s.tag.is_none() && matches!(s.text.as_str(), "" | "~" | "null"))
}

fn mark(m: &Marker) -> Mark {
    Mark { line: m.line() as u32, column: m.col() as u32 + 1 }
}

fn tag_name(tag: &Tag) -> String {
    let (handle, suffix) = tag.parts();
    if handle == "!" && suffix.is_empty() { "!".into() } else { format!("{handle}{suffix}") }
}

fn collection_tag(at: Mark, tag: Option<&Tag>, fits: &str) -> Result<(), YamlError> {
    match tag.map(tag_name) {
        None => Ok(()),
        Some(t) if t == "!" || t == format!("tag:yaml.org,2002:{fits}") => Ok(()),
        Some(t) => Err(YamlError::new(at, format!("the tag `{t}` is not supported"))),
    }
}

/// Adds the entries of a merge key (`<<`) that are not there yet.
fn merge_into(entries: &mut Vec<Entry>, merge: Node) -> Result<(), YamlError> {
    let sources = match merge.data {
        Data::Map(_) => vec![merge],
        Data::Seq(items) => items,
        Data::Scalar(_) => {
            return Err(YamlError::new(merge.at, "a merge key `<<` takes a mapping or a list of mappings"));
        }
    };
    for source in sources {
        let Data::Map(more) = source.data else {
            return Err(YamlError::new(source.at, "a merge key `<<` takes a mapping or a list of mappings"));
        };
        for entry in more {
            if !entries.iter().any(|e| e.key == entry.key) {
                entries.push(entry);
            }
        }
    }
    Ok(())
}
