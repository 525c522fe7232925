//! Units and what is said of lots, as bytes: each part after the other, each with its length.

use crate::error::{Origin, Severity, Violation};
use crate::model::id::{Layer, Part};
use crate::model::overlay::Matches;
use crate::model::tree::ObjectId;
use crate::model::unit::{File, Hydrated, ObjectRef, UnitKey};
use std::sync::Arc;

/// Writes.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, n: usize) {
        self.0.extend_from_slice(&(n as u64).to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn origin(&mut self, at: &Origin) {
        self.text(&at.file);
        self.number(at.line as usize);
        self.number(at.column as usize);
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.number(usize::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    pub(super) fn maybe_id(&mut self, id: Option<&ObjectId>) {
        self.number(usize::from(id.is_some()));
        self.raw(id.map_or([0; 20], |id| *id.as_bytes()).as_slice());
    }

    pub(super) fn matches(&mut self, matched: &Matches) {
        self.number(matched.0.len());
        for (step, entry) in &matched.0 {
            self.raw(&step.to_le_bytes());
            self.number(*entry);
        }
    }

    pub(super) fn parts(&mut self, parts: &[Part]) {
        self.number(parts.len());
        for part in parts {
            let (kind, layer, component) = match part {
                Part::Manifests { layer, component } => (0, layer.order(), component.as_str()),
                Part::ComponentApplication { layer, component } => (1, layer.order(), component.as_str()),
                Part::SubjectApplication => (2, 0, ""),
            };
            self.number(kind);
            self.number(usize::try_from(layer).unwrap_or(0));
            self.text(component);
        }
    }

    pub(super) fn warnings(&mut self, warnings: &[Violation]) {
        self.number(warnings.len());
        for v in warnings {
            self.number(v.severity as usize);
            self.number(usize::from(v.guard));
            self.number(usize::from(v.at.is_some()));
            self.origin(&v.at.clone().unwrap_or_else(|| Origin::file("")));
            self.maybe(v.key.as_deref());
            self.text(&v.message);
            self.maybe(v.hint.as_deref());
        }
    }

    pub(super) fn unit(&mut self, hydrated: &Hydrated) {
        self.number(hydrated.files.len());
        for file in &hydrated.files {
            self.text(&file.path);
            self.bytes(&file.bytes);
            self.raw(file.id.as_bytes());
        }
        self.number(hydrated.objects.len());
        for (object, at) in &hydrated.objects {
            for part in [&object.group, &object.kind, &object.namespace, &object.name] {
                self.text(part);
            }
            self.origin(at);
        }
        self.matches(&hydrated.matched);
        self.warnings(&hydrated.warnings);
    }
}

/// Reads what [`Writer`] wrote; anything else gives none.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn number(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.raw()?)).ok()
    }

    /// A count of things that take at least 8 bytes each: never more than can follow.
    pub(super) fn count(&mut self) -> Option<usize> {
        self.number().filter(|n| *n <= self.0.len() / 8 + 1)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.number()?;
        self.take(n)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn origin(&mut self) -> Option<Origin> {
        let file = self.text()?;
        let line = u32::try_from(self.number()?).ok()?;
        let column = u32::try_from(self.number()?).ok()?;
        Some(Origin::at(file, line, column))
    }

    fn maybe(&mut self) -> Option<Option<String>> {
        let there = self.number()? == 1;
        let text = self.text()?;
        Some(there.then_some(text))
    }

    fn id(&mut self) -> Option<ObjectId> {
        self.raw().map(ObjectId::from_bytes)
    }

    pub(super) fn maybe_id(&mut self) -> Option<Option<ObjectId>> {
        let there = self.number()? == 1;
        let id = self.id()?;
        Some(there.then_some(id))
    }

    pub(super) fn matches(&mut self) -> Option<Matches> {
        let mut matched = Matches::default();
        for _ in 0..self.count()? {
            let step = u64::from_le_bytes(self.raw()?);
            matched.0.insert((step, self.number()?));
        }
        Some(matched)
    }

    pub(super) fn parts(&mut self) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for _ in 0..self.count()? {
            let kind = self.number()?;
            let layer = *Layer::ALL.get(self.number()?)?;
            let component = self.text()?;
            parts.push(match kind {
                0 => Part::Manifests { layer, component },
                1 => Part::ComponentApplication { layer, component },
                2 => Part::SubjectApplication,
                _ => return None,
            });
        }
        Some(parts)
    }

    pub(super) fn warnings(&mut self) -> Option<Vec<Violation>> {
        let mut warnings = Vec::new();
        for _ in 0..self.count()? {
            let severity = match self.number()? {
                1 => Severity::Warning,
                _ => Severity::Notice,
            };
            let guard = self.number()? == 1;
            let placed = self.number()? == 1;
            let at = self.origin()?;
            let key = self.maybe()?;
            let message = self.text()?;
            let hint = self.maybe()?;
            warnings.push(Violation { severity, at: placed.then_some(at), key, message, hint, guard });
        }
        Some(warnings)
    }

    pub(super) fn unit(&mut self, key: UnitKey) -> Option<Hydrated> {
        let mut files = Vec::new();
        for _ in 0..self.count()? {
            let path = self.text()?;
            let bytes = Arc::from(self.bytes()?);
            files.push(File { path, bytes, id: self.id()? });
        }
        let mut objects = Vec::new();
        for _ in 0..self.count()? {
            let (group, kind, namespace, name) = (self.text()?, self.text()?, self.text()?, self.text()?);
            objects.push((ObjectRef { group, kind, namespace, name }, self.origin()?));
        }
        let matched = self.matches()?;
        let warnings = self.warnings()?;
        self.0.is_empty().then_some(Hydrated { key, files, objects, matched, warnings })
    }
}
