//! A template without tags, parsed once: a tree with slots that are filled per unit.

use super::engine::Compiled;
use super::scan::{MARK_CLOSE, MARK_OPEN, Scanned, not_whole};
use super::{Context, Made, meter};
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Data, Limits, Mark, Node, Schema, read};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The documents of a template, and the expressions that stand in them.
#[derive(Debug)]
pub struct Skeleton {
    documents: Vec<(Bone, Mark)>,
    slots: Vec<(Compiled, u32)>,
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
        let documents =
            read(scanned.marked().as_bytes(), &Limits::inputs()).map_err(|e| vec![e.in_file(file)])?;
        let mut bones = Vec::new();
        for node in &documents {
            bones.push((bone(node, file, &mut found), node.at));
        }
        let mut slots = Vec::new();
        for (text, line) in scanned.slots() {
            match Compiled::new(text, &Origin::at(file.clone(), line, 0)) {
                Ok(compiled) => slots.push((compiled, line)),
                Err(v) => found.push(v),
            }
        }
        if found.is_empty() { Ok(Self { documents: bones, slots }) } else { Err(found) }
    }

    /// Fills the slots for one unit. All failing expressions are reported.
    ///
    /// # Errors
    /// Expressions that fail, keys that are no text.
    pub fn fill(&self, file: &Arc<str>, context: &Context) -> Result<Vec<Made>, Violations> {
        let mut found = Violations::new();
        let mut values: Vec<Value> = Vec::with_capacity(self.slots.len());
        for (compiled, line) in &self.slots {
            match compiled.eval(context, &Origin::at(file.clone(), *line, 0)) {
                Ok(value) => values.push(value),
                Err(v) => found.push(v),
            }
            if meter::is_empty() {
                break;
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        let filler = Filler { slots: &self.slots, values: &values, file };
        self.documents
            .iter()
            .map(|(bone, mark)| {
                let value = filler.fill(bone).map_err(|v| vec![v])?;
                Ok(Made { value, at: Origin::at(file.clone(), mark.line, 0) })
            })
            .collect()
    }
}

struct Filler<'a> {
    slots: &'a [(Compiled, u32)],
    values: &'a [Value],
    file: &'a Arc<str>,
}

impl Filler<'_> {
    fn fill(&self, bone: &Bone) -> Result<Value, Violation> {
        Ok(match bone {
            Bone::Fixed(value) => value.clone(),
            Bone::Slot(slot) => self.values[*slot].clone(),
            Bone::List(items) => Value::Array(items.iter().map(|b| self.fill(b)).collect::<Result<_, _>>()?),
            Bone::Map(entries) => {
                let mut map = Map::new();
                for (joint, value) in entries {
                    let key = self.key(joint)?;
                    if map.insert(key.clone(), self.fill(value)?).is_some() {
                        return Err(
                            self.problem(joint, format!("the key `{key}` stands twice in the result"))
                        );
                    }
                }
                Value::Object(map)
            }
        })
    }

    fn key(&self, joint: &Joint) -> Result<String, Violation> {
        match joint {
            Joint::Fixed(key, _) => Ok(key.clone()),
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

    fn problem(&self, joint: &Joint, message: String) -> Violation {
        let line = match joint {
            Joint::Slot(slot) => self.slots[*slot].1,
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
    text.strip_prefix(MARK_OPEN)
        .and_then(|t| t.strip_suffix(MARK_CLOSE))
        .and_then(|n| n.parse().ok())
        .map_or(Whole::Part, Whole::Slot)
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
