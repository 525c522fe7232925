//! The compact table: type and field → how a patch merges there.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// A type of the table, by its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeRef(pub(super) u32);

/// How a patch merges at one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// An object of a known type.
    Object(TypeRef),
    /// A map whose values are of a known type.
    MapOf(TypeRef),
    /// A list that merges: by its keys, or as a set of texts when there are none.
    List {
        /// The keys that tell its items apart.
        keys: Vec<String>,
        /// The type of the items, if something merges inside them.
        items: Option<TypeRef>,
    },
}

/// A type by its name, and its fields: sorted; `*` stands for any other field.
#[derive(Clone, Debug, Default)]
pub(super) struct Type {
    pub(super) name: Cow<'static, str>,
    /// The fields as the compact text gives them, read when somebody asks: a run asks for
    /// few of the types.
    line: &'static str,
    fields: OnceLock<Vec<(String, Field)>>,
}

impl Type {
    pub(super) fn new(name: String, fields: Vec<(String, Field)>) -> Self {
        Self { name: Cow::Owned(name), line: "", fields: OnceLock::from(fields) }
    }
}

/// Which fields of which types merge, and the scope of kinds.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Sorted by name.
    types: Vec<Type>,
    /// Sorted by kind, which most often decides alone, and `apiVersion`.
    kinds: Vec<(Cow<'static, str>, Cow<'static, str>, Kind)>,
}

/// What is known of a kind: its type, and whether it is namespaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) of: Option<TypeRef>,
    pub(super) namespaced: Option<bool>,
}

impl Table {
    /// Returns a table of types, sorted by name, and kinds.
    pub(super) fn new(types: Vec<Type>, kinds: impl Iterator<Item = (String, String, Kind)>) -> Self {
        let kinds = kinds.map(|(version, kind, of)| (Cow::Owned(version), Cow::Owned(kind), of)).collect();
        let mut table = Self { types, kinds };
        table.sort_kinds();
        table
    }

    fn sort_kinds(&mut self) {
        self.kinds.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    }

    fn kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let at = self.kinds.binary_search_by(|(v, k, _)| (k.as_ref(), v.as_ref()).cmp(&(kind, api_version)));
        self.kinds.get(at.ok()?).map(|(_, _, kind)| kind)
    }

    /// Returns the type of an object.
    pub fn type_of(&self, api_version: &str, kind: &str) -> Option<TypeRef> {
        self.kind(api_version, kind)?.of
    }

    /// Returns whether a kind has a namespace, if the table says so.
    pub fn namespaced(&self, api_version: &str, kind: &str) -> Option<bool> {
        self.kind(api_version, kind)?.namespaced
    }

    /// Returns how a patch merges at a field of a type.
    pub fn field(&self, of: TypeRef, name: &str) -> Option<&Field> {
        let fields = self.fields(self.types.get(of.0 as usize)?);
        let find = |n: &str| fields.binary_search_by(|(k, _)| k.as_str().cmp(n)).ok();
        find(name).or_else(|| find("*")).map(|i| &fields[i].1)
    }

    fn fields<'t>(&self, of: &'t Type) -> &'t [(String, Field)] {
        let lookup = |name: &str| self.type_named(name);
        of.fields.get_or_init(|| of.line.split(' ').filter_map(|f| parse_field(f, &lookup)).collect())
    }

    fn type_named(&self, name: &str) -> Option<TypeRef> {
        let at = self.types.binary_search_by(|t| t.name.as_ref().cmp(name)).ok()?;
        u32::try_from(at).ok().map(TypeRef)
    }

    /// Reads the compact text, whose types are sorted by name. Lines that do not fit are
    /// left out: a test holds the text that is compiled in to what is derived.
    pub fn parse(text: &'static str) -> Self {
        let mut table = Self::default();
        for line in text.lines().filter_map(|l| l.strip_prefix("type ")) {
            let (name, line) = line.split_once(' ').unwrap_or((line, ""));
            table.types.push(Type { name: Cow::Borrowed(name), line, fields: OnceLock::new() });
        }
        for line in text.lines().filter_map(|l| l.strip_prefix("kind ")) {
            let mut parts = line.split(' ');
            if let (Some(api_version), Some(kind), Some(scope), Some(of)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            {
                let namespaced = match scope {
                    "n" => Some(true),
                    "c" => Some(false),
                    _ => None,
                };
                let known = Kind { of: table.type_named(of), namespaced };
                table.kinds.push((Cow::Borrowed(api_version), Cow::Borrowed(kind), known));
            }
        }
        table.sort_kinds();
        table
    }

    /// Prints the compact text that [`Table::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for of in &self.types {
            let _ = write!(out, "type {}", of.name);
            for (name, field) in self.fields(of) {
                let _ = match field {
                    Field::Object(t) => write!(out, " {name}={}", self.name(*t)),
                    Field::MapOf(t) => write!(out, " {name}{{}}={}", self.name(*t)),
                    Field::List { keys, items } => {
                        let items = items.map_or("-", |t| self.name(t));
                        write!(out, " {name}[{}]={items}", keys.join(","))
                    }
                };
            }
            out.push('\n');
        }
        let mut kinds: Vec<String> = Vec::new();
        for (api_version, kind, k) in &self.kinds {
            let scope = match k.namespaced {
                Some(true) => "n",
                Some(false) => "c",
                None => "-",
            };
            let name = k.of.map_or("-", |t| self.name(t));
            kinds.push(format!("kind {api_version} {kind} {scope} {name}\n"));
        }
        kinds.sort();
        out.extend(kinds);
        out
    }

    fn name(&self, of: TypeRef) -> &str {
        self.types.get(of.0 as usize).map_or("-", |t| &t.name)
    }
}

/// Reads `name=T`, `name{}=T` or `name[key,key]=T`.
fn parse_field(text: &str, lookup: &dyn Fn(&str) -> Option<TypeRef>) -> Option<(String, Field)> {
    let (name, of) = text.split_once('=')?;
    if let Some(name) = name.strip_suffix("{}") {
        return Some((name.to_owned(), Field::MapOf(lookup(of)?)));
    }
    if let Some((name, keys)) = name.strip_suffix(']').and_then(|n| n.split_once('[')) {
        let keys = keys.split(',').filter(|k| !k.is_empty()).map(str::to_owned).collect();
        return Some((name.to_owned(), Field::List { keys, items: lookup(of) }));
    }
    Some((name.to_owned(), Field::Object(lookup(of)?)))
}
