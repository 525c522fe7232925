//! The compact table: type and field → how a patch merges there.

use std::collections::HashMap;
use std::fmt::Write as _;

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

#[derive(Clone, Debug, Default)]
pub(super) struct Type {
    pub(super) name: String,
    /// Sorted by field; `*` stands for any other field.
    pub(super) fields: Vec<(String, Field)>,
}

/// Which fields of which types merge, and the scope of kinds.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(super) types: Vec<Type>,
    /// `apiVersion` → kind → type, and whether it is namespaced where that is known.
    pub(super) kinds: HashMap<String, HashMap<String, Kind>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) of: Option<TypeRef>,
    pub(super) namespaced: Option<bool>,
}

impl Table {
    /// Returns the type of an object.
    pub fn type_of(&self, api_version: &str, kind: &str) -> Option<TypeRef> {
        self.kinds.get(api_version)?.get(kind)?.of
    }

    /// Returns whether a kind has a namespace, if the table says so.
    pub fn namespaced(&self, api_version: &str, kind: &str) -> Option<bool> {
        self.kinds.get(api_version)?.get(kind)?.namespaced
    }

    /// Returns how a patch merges at a field of a type.
    pub fn field(&self, of: TypeRef, name: &str) -> Option<&Field> {
        let fields = &self.types.get(of.0 as usize)?.fields;
        let find = |n: &str| fields.binary_search_by(|(k, _)| k.as_str().cmp(n)).ok();
        find(name).or_else(|| find("*")).map(|i| &fields[i].1)
    }

    /// Reads the compact text. Lines that do not fit are left out: a test holds the text
    /// that is compiled in to what is derived.
    pub fn parse(text: &str) -> Self {
        let lines = || text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let mut types: Vec<Type> = Vec::new();
        let mut index: HashMap<&str, TypeRef> = HashMap::new();
        for line in lines().filter_map(|l| l.strip_prefix("type ")) {
            if let Some(name) = line.split(' ').next() {
                index.insert(name, TypeRef(types.len() as u32));
                types.push(Type { name: name.to_owned(), fields: Vec::new() });
            }
        }
        let lookup = |name: &str| index.get(name).copied();
        for (i, line) in lines().filter_map(|l| l.strip_prefix("type ")).enumerate() {
            types[i].fields = line.split(' ').skip(1).filter_map(|f| parse_field(f, &lookup)).collect();
        }
        let mut table = Self { types, kinds: HashMap::new() };
        for line in lines().filter_map(|l| l.strip_prefix("kind ")) {
            let parts: Vec<&str> = line.split(' ').collect();
            if let [api_version, kind, scope, of] = parts[..] {
                let namespaced = match scope {
                    "n" => Some(true),
                    "c" => Some(false),
                    _ => None,
                };
                let kinds = table.kinds.entry(api_version.to_owned()).or_default();
                kinds.insert(kind.to_owned(), Kind { of: lookup(of), namespaced });
            }
        }
        table
    }

    /// Prints the compact text that [`Table::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for of in &self.types {
            let _ = write!(out, "type {}", of.name);
            for (name, field) in &of.fields {
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
        for (api_version, of) in &self.kinds {
            for (kind, k) in of {
                let scope = match k.namespaced {
                    Some(true) => "n",
                    Some(false) => "c",
                    None => "-",
                };
                let name = k.of.map_or("-", |t| self.name(t));
                kinds.push(format!("kind {api_version} {kind} {scope} {name}\n"));
            }
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
