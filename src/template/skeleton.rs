//! A template without tags, parsed once: a tree with slots that are filled per unit.

use super::engine::Compiled;
use super::scan::{MARK_OPEN, Scanned, not_whole};
use super::{Context, Made, meter};
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Data, Limits, Mark, Node, Schema, read};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A template without tags: its documents, and the expressions that stand in them.
#[derive(Debug)]
pub struct Skeleton {
    documents: Documents,
    slots: Vec<(Compiled, u32)>,
}

/// Parsed text with marks: trees with slots.
#[derive(Debug)]
pub struct Documents {
    documents: Vec<(Bone, Mark)>,
    /// An alias can make one slot stand at several places.
    each_once: bool,
    /// True if no slot is a key.
    fixed_keys: bool,
    /// See [`Documents::number`].
    number: Option<u64>,
}

/// A node of the tree.
#[derive(Debug)]
enum Bone {
    /// Nothing to fill below.
    Fixed(Value),
    /// The value of an expression.
    Slot(usize),
    List(Vec<Bone>),
    Map(Vec<(Joint, Bone)>),
}

/// A key of a mapping.
#[derive(Debug)]
enum Joint {
    Fixed(String, u32),
    Slot(usize),
}

impl Skeleton {
    /// Parses the marked text and compiles its expressions.
    ///
    /// # Errors
    /// What is no YAML, an expression inside other text, an expression that does not compile.
    pub fn parse(file: &Arc<str>, scanned: &Scanned) -> Result<Self, Violations> {
        let mut found = Violations::new();
        let documents = Documents::parse(file, &scanned.marked(), &Limits::inputs());
        let mut slots = Vec::new();
        for (text, line) in scanned.slots() {
            match Compiled::new(text, &Origin::at(file.clone(), line, 0)) {
                Ok(compiled) => slots.push((compiled, line)),
                Err(v) => found.push(v),
            }
        }
        match documents {
            Ok(mut documents) if found.is_empty() => {
                documents.keep();
                Ok(Self { documents, slots })
            }
            Ok(_) => Err(found),
            Err(mut why) => {
                why.append(&mut found);
                Err(why)
            }
        }
    }

    /// Returns the tree.
    pub(super) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// Evaluates the expressions for one unit. All failing ones are reported.
    ///
    /// # Errors
    /// Expressions that fail.
    pub fn evaluate(&self, file: &Arc<str>, context: &Context) -> Result<Vec<Value>, Violations> {
        let mut found = Violations::new();
        let mut values: Vec<Value> = Vec::with_capacity(self.slots.len());
        for (compiled, line) in &self.slots {
            match compiled.eval(context, || Origin::at(file.clone(), *line, 0)) {
                Ok(value) => values.push(value),
                Err(v) => found.push(v),
            }
            if meter::is_empty() {
                break;
            }
        }
        if found.is_empty() { Ok(values) } else { Err(found) }
    }

    /// Puts the values of the expressions into their slots.
    ///
    /// # Errors
    /// Keys that are no text, or that stand twice.
    pub fn fill(&self, file: &Arc<str>, values: Vec<Value>) -> Result<Vec<Made>, Violations> {
        self.documents.fill(file, values, Some(&self.slots)).map_err(|v| vec![v])
    }
}

impl Documents {
    /// Parses a text in which marks stand for values.
    ///
    /// # Errors
    /// What is no YAML, a mark inside other text.
    pub fn parse(file: &Arc<str>, marked: &str, limits: &Limits) -> Result<Self, Violations> {
        let mut found = Violations::new();
        let nodes = read(marked.as_bytes(), limits).map_err(|e| vec![e.in_file(file)])?;
        let documents: Vec<(Bone, Mark)> =
            nodes.iter().map(|node| (bone(node, file, &mut found), node.at)).collect();
        if !found.is_empty() {
            return Err(found);
        }
        let mut slots = Vec::new();
        documents.iter().for_each(|(bone, _)| slots_of(bone, &mut slots));
        slots.sort_unstable();
        let each_once = slots.windows(2).all(|pair| pair[0] != pair[1]);
        let fixed_keys = documents.iter().all(|(bone, _)| has_fixed_keys(bone));
        Ok(Self { documents, each_once, fixed_keys, number: None })
    }

    /// Gives it a number: it is kept for as long as its template.
    pub fn keep(&mut self) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.number = Some(NEXT.fetch_add(1, Ordering::Relaxed));
    }

    /// Returns a number that no other documents of this process have; none if they are not kept.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// Returns true if no slot is a key.
    pub fn has_fixed_keys(&self) -> bool {
        self.fixed_keys
    }

    /// Returns true if no value is repeated.
    pub fn uses_each_once(&self) -> bool {
        self.each_once
    }

    /// Puts values into the slots. The lines of the slots are named in errors, where there are any.
    ///
    /// # Errors
    /// Keys that are no text, or that stand twice.
    pub fn fill(
        &self,
        file: &Arc<str>,
        values: Vec<Value>,
        lines: Option<&[(Compiled, u32)]>,
    ) -> Result<Vec<Made>, Violation> {
        let mut filler = Filler { lines, values, each_once: self.each_once, file };
        let made = self.documents.iter().map(|(bone, mark)| {
            let at = match lines {
                Some(_) => Origin::at(file.clone(), mark.line, 0),
                // Lines of the output are not lines of the template once a block has run.
                None => Origin::file(file.clone()),
            };
            Ok(Made { value: filler.fill(bone)?, at })
        });
        made.collect()
    }
}

fn slots_of(bone: &Bone, slots: &mut Vec<usize>) {
    match bone {
        Bone::Fixed(_) => {}
        Bone::Slot(slot) => slots.push(*slot),
        Bone::List(items) => items.iter().for_each(|item| slots_of(item, slots)),
        Bone::Map(entries) => {
            for (joint, value) in entries {
                if let Joint::Slot(slot) = joint {
                    slots.push(*slot);
                }
                slots_of(value, slots);
            }
        }
    }
}

fn has_fixed_keys(bone: &Bone) -> bool {
    match bone {
        Bone::Fixed(_) | Bone::Slot(_) => true,
        Bone::List(items) => items.iter().all(has_fixed_keys),
        Bone::Map(entries) => {
            entries.iter().all(|(joint, value)| matches!(joint, Joint::Fixed(..)) && has_fixed_keys(value))
        }
    }
}

struct Filler<'a> {
    lines: Option<&'a [(Compiled, u32)]>,
    values: Vec<Value>,
    each_once: bool,
    file: &'a Arc<str>,
}

impl Filler<'_> {
    fn fill(&mut self, bone: &Bone) -> Result<Value, Violation> {
        Ok(match bone {
            Bone::Fixed(value) => value.clone(),
            Bone::Slot(slot) => self.value(*slot),
            Bone::List(items) => Value::Array(items.iter().map(|b| self.fill(b)).collect::<Result<_, _>>()?),
            Bone::Map(entries) => {
                let mut filled = Vec::with_capacity(entries.len());
                for (joint, value) in entries {
                    filled.push((self.key(joint)?, self.fill(value)?));
                }
                let map: Map<String, Value> = filled.into_iter().collect();
                if map.len() < entries.len() {
                    return Err(self.twice(entries));
                }
                Value::Object(map)
            }
        })
    }

    fn value(&mut self, slot: usize) -> Value {
        match self.each_once {
            true => std::mem::take(&mut self.values[slot]),
            false => self.values[slot].clone(),
        }
    }

    fn key(&mut self, joint: &Joint) -> Result<String, Violation> {
        match joint {
            Joint::Fixed(key, _) => Ok(key.clone()),
            // Kept, to tell which key stands twice.
            Joint::Slot(slot) => match &self.values[*slot] {
                Value::String(text) => Ok(text.clone()),
                Value::Number(n) => Ok(n.to_string()),
                other => {
                    let is = crate::model::values::type_name(other);
                    Err(self.problem(joint, format!("a key must be a string, and this is {is}")))
                }
            },
        }
    }

    /// Returns the violation of the first key of a mapping that stands there already.
    fn twice(&mut self, entries: &[(Joint, Bone)]) -> Violation {
        let mut seen = BTreeSet::new();
        for (joint, _) in entries {
            match self.key(joint) {
                Ok(key) if seen.contains(&key) => {
                    return self.problem(joint, format!("the key `{key}` stands twice in the result"));
                }
                Ok(key) => {
                    seen.insert(key);
                }
                Err(v) => return v,
            }
        }
        Violation::error("a key stands twice in the result").at(Origin::file(self.file.clone()))
    }

    fn problem(&self, joint: &Joint, message: String) -> Violation {
        let line = match joint {
            Joint::Slot(slot) => self.lines.and_then(|lines| lines.get(*slot)).map_or(0, |(_, line)| *line),
            Joint::Fixed(_, line) => *line,
        };
        Violation::error(message).at(Origin::at(self.file.clone(), line, 0))
    }
}

fn bone(node: &Node, file: &Arc<str>, found: &mut Violations) -> Bone {
    match &node.data {
        Data::Scalar(scalar) => match slot_of(&scalar.text) {
            Whole::Slot(n) if scalar.plain && scalar.tag.is_none() => Bone::Slot(n),
            Whole::None => match node.to_value(Schema::Kubectl) {
                Ok(value) => Bone::Fixed(value),
                Err(e) => {
                    found.push(e.in_file(file));
                    Bone::Fixed(Value::Null)
                }
            },
            _ => {
                found.push(not_whole(Origin::at(file.clone(), node.at.line, 0)));
                Bone::Fixed(Value::Null)
            }
        },
        Data::Seq(items) => {
            let items: Vec<Bone> = items.iter().map(|n| bone(n, file, found)).collect();
            if items.iter().all(|b| matches!(b, Bone::Fixed(_))) {
                return Bone::Fixed(Value::Array(items.into_iter().filter_map(fixed).collect()));
            }
            Bone::List(items)
        }
        Data::Map(entries) => {
            let mut bones = Vec::new();
            for e in entries {
                let joint = match slot_of(&e.key) {
                    Whole::None => Joint::Fixed(e.key.clone(), e.key_at.line),
                    Whole::Slot(n) => Joint::Slot(n),
                    Whole::Part => {
                        found.push(not_whole(Origin::at(file.clone(), e.key_at.line, 0)));
                        continue;
                    }
                };
                bones.push((joint, bone(&e.value, file, found)));
            }
            if bones.iter().all(|(j, b)| matches!((j, b), (Joint::Fixed(..), Bone::Fixed(_)))) {
                let fixed_entries = bones.into_iter().filter_map(|(j, b)| match j {
                    Joint::Fixed(key, _) => fixed(b).map(|v| (key, v)),
                    Joint::Slot(_) => None,
                });
                return Bone::Fixed(Value::Object(fixed_entries.collect()));
            }
            Bone::Map(bones)
        }
    }
}

fn fixed(bone: Bone) -> Option<Value> {
    match bone {
        Bone::Fixed(value) => Some(value),
        _ => None,
    }
}

/// What a text has to do with marks.
enum Whole {
    None,
    Slot(usize),
    Part,
}

fn slot_of(text: &str) -> Whole {
    if !text.contains(MARK_OPEN) {
        return Whole::None;
    }
    super::slot_of(text).map_or(Whole::Part, Whole::Slot)
}

/// Returns true if every mark in a tree is a whole plain scalar or key.
pub fn marks_are_whole(node: &Node) -> bool {
    match &node.data {
        Data::Scalar(s) => match slot_of(&s.text) {
            Whole::None => true,
            Whole::Slot(_) => s.plain && s.tag.is_none(),
            Whole::Part => false,
        },
        Data::Seq(items) => items.iter().all(marks_are_whole),
        Data::Map(entries) => {
            entries.iter().all(|e| !matches!(slot_of(&e.key), Whole::Part) && marks_are_whole(&e.value))
        }
    }
}
