//! Random scenes for the property test of the overlay engine: a few objects that refer to
//! each other, in a base, under one or more overlays and perhaps a component.
//!
//! A scene is data until it is written, so that a failing one can be made smaller by leaving
//! out one entry after the other.

use crate::overlay_fields::{Owner, entries};
use crate::overlay_objects::objects;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A small random generator of our own: the same seed gives the same scenes on every machine.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % sides as u64).expect("fits")
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// One entry of a kustomization that can be left out without the others.
#[derive(Clone)]
pub struct Entry {
    pub field: &'static str,
    pub what: What,
}

#[derive(Clone)]
pub enum What {
    /// One more element of a list field.
    Element(Value),
    /// One more key of a map field.
    Key(String, Value),
    /// The value of a field.
    Is(Value),
}

impl Entry {
    pub fn element(field: &'static str, value: Value) -> Self {
        Self { field, what: What::Element(value) }
    }

    pub fn key(field: &'static str, key: &str, value: Value) -> Self {
        Self { field, what: What::Key(key.to_owned(), value) }
    }

    pub fn is(field: &'static str, value: Value) -> Self {
        Self { field, what: What::Is(value) }
    }
}

/// One folder with a kustomization.
#[derive(Clone)]
pub struct Level {
    pub dir: String,
    pub component: bool,
    pub entries: Vec<Entry>,
    pub files: BTreeMap<String, String>,
}

impl Level {
    fn new(dir: &str) -> Self {
        Self { dir: dir.to_owned(), component: false, entries: Vec::new(), files: BTreeMap::new() }
    }

    fn kustomization(&self) -> String {
        let mut doc = Map::new();
        if self.component {
            doc.insert("apiVersion".to_owned(), json!("kustomize.config.k8s.io/v1alpha1"));
            doc.insert("kind".to_owned(), json!("Component"));
        }
        for entry in &self.entries {
            match &entry.what {
                What::Element(value) => match doc.entry(entry.field).or_insert_with(|| json!([])) {
                    Value::Array(items) => items.push(value.clone()),
                    _ => unreachable!("a list field holds a list"),
                },
                What::Key(key, value) => match doc.entry(entry.field).or_insert_with(|| json!({})) {
                    Value::Object(map) => {
                        map.insert(key.clone(), value.clone());
                    }
                    _ => unreachable!("a map field holds a map"),
                },
                What::Is(value) => {
                    doc.insert(entry.field.to_owned(), value.clone());
                }
            }
        }
        hydrant::yaml::write(&Value::Object(doc))
    }
}

/// A tree of kustomizations; the last level is the one to build.
#[derive(Clone)]
pub struct Scene {
    pub levels: Vec<Level>,
}

impl Scene {
    /// Makes the scene of a seed. All names in it end with `id`, so that scenes with
    /// different ids can stand in one build.
    ///
    /// `alone` allows what holds for a whole build only (sortOptions, buildMetadata).
    pub fn random(seed: u64, id: usize, alone: bool) -> Self {
        let dice = &mut Dice::new(seed);
        let mut base = Level::new("base");
        let base_objects = objects(dice, id, 2, 6);
        put(dice, &mut base, &base_objects, "base");
        let mut owner = Owner { id, objects: base_objects, generated: Vec::new(), doubled: false };
        if dice.chance(60) {
            base.entries.extend(entries(dice, &mut owner, &mut base.files));
        }
        let mut levels = vec![base];
        let mut below = vec!["../base".to_owned()];
        if dice.chance(15) {
            below = twins(dice, &mut levels);
            owner.doubled = true;
        } else if dice.chance(25) {
            let mut mid = Level::new("mid");
            mid.entries.push(Entry::element("resources", json!("../base")));
            mid.entries.extend(entries(dice, &mut owner, &mut mid.files));
            levels.push(mid);
            below = vec!["../mid".to_owned()];
        }
        let mut overlay = Level::new("overlay");
        overlay.entries.extend(below.into_iter().map(|b| Entry::element("resources", json!(b))));
        if dice.chance(30) {
            let mut more = objects(dice, id, 1, 3);
            // other names than those of the base, so that they never collide
            for object in &mut more {
                let name = object["metadata"]["name"].as_str().expect("name").replace('-', "-over-");
                object["metadata"]["name"] = json!(name);
            }
            put(dice, &mut overlay, &more, "over");
            owner.objects.extend(more);
        }
        if dice.chance(20) {
            let mut part = Level::new("part");
            part.component = true;
            part.entries.extend(entries(dice, &mut owner, &mut part.files));
            levels.push(part);
            overlay.entries.push(Entry::element("components", json!("../part")));
        }
        overlay.entries.extend(entries(dice, &mut owner, &mut overlay.files));
        if alone {
            whole_build(dice, &mut overlay);
        }
        levels.push(overlay);
        Self { levels }
    }

    /// Returns the folder to build.
    pub fn root(&self) -> &str {
        &self.levels.last().expect("a level").dir
    }

    /// Returns all files of the scene by their path.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for level in &self.levels {
            let kustomization = level.kustomization();
            // a smaller scene may name a file no more
            for (name, text) in level.files.iter().filter(|(name, _)| kustomization.contains(name.as_str())) {
                all.insert(format!("{}/{name}", level.dir), text.clone());
            }
            all.insert(format!("{}/kustomization.yaml", level.dir), kustomization);
        }
        all
    }

    /// Returns every scene that lacks one entry of this one, the most telling removals first.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for level in (0..self.levels.len()).rev() {
            for entry in (0..self.levels[level].entries.len()).rev() {
                let mut scene = self.clone();
                scene.levels[level].entries.remove(entry);
                all.push(scene);
            }
        }
        all
    }
}

/// Writes objects into one file, or one file each, as JSON or as YAML.
fn put(dice: &mut Dice, level: &mut Level, objects: &[Value], stem: &str) {
    let together = dice.chance(30);
    let mut text = String::new();
    for (n, object) in objects.iter().enumerate() {
        let one = if dice.chance(30) { format!("{object}\n") } else { hydrant::yaml::write(object) };
        if together {
            text.push_str("---\n");
            text.push_str(&one);
        } else {
            let name = format!("{stem}-{n}.yaml");
            level.entries.push(Entry::element("resources", json!(name)));
            level.files.insert(name, one);
        }
    }
    if together {
        let name = format!("{stem}.yaml");
        level.entries.push(Entry::element("resources", json!(name)));
        level.files.insert(name, text);
    }
}

/// A diamond: the base twice, under two prefixes.
fn twins(dice: &mut Dice, levels: &mut Vec<Level>) -> Vec<String> {
    let field = if dice.chance(50) { "namePrefix" } else { "nameSuffix" };
    for side in ["left", "right"] {
        let mut level = Level::new(side);
        level.entries.push(Entry::element("resources", json!("../base")));
        let value = if field == "namePrefix" { format!("{side}-") } else { format!("-{side}") };
        level.entries.push(Entry::is(field, json!(value)));
        if dice.chance(40) {
            level.entries.push(Entry::key("commonAnnotations", "side", json!(side)));
        }
        levels.push(level);
    }
    vec!["../left".to_owned(), "../right".to_owned()]
}

fn whole_build(dice: &mut Dice, top: &mut Level) {
    if dice.chance(40) {
        let sort = match dice.roll(3) {
            0 => json!({"order": "fifo"}),
            1 => json!({"order": "legacy"}),
            _ => {
                json!({"order": "legacy", "legacySortOptions": {"orderFirst": ["Deployment", "Secret"], "orderLast": ["Service"]}})
            }
        };
        top.entries.push(Entry::is("sortOptions", sort));
    }
    if dice.chance(20) {
        let what = dice.pick(&["originAnnotations", "transformerAnnotations"]);
        top.entries.push(Entry::element("buildMetadata", json!(what)));
    }
}
