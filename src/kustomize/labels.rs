//! Kubernetes' label selector language: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.

/// A parsed selector; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl LabelSelector {
    /// Parses a selector.
    ///
    /// # Errors
    /// The text does not follow the language.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text);
        let mut parser = Parser { tokens: &tokens, at: 0, text };
        parser.all().map(Self)
    }

    /// Returns true if all requirements hold; `label` gives the value of a key.
    pub fn matches(&self, label: impl Fn(&str) -> Option<String>) -> bool {
        self.0.iter().all(|r| {
            let value = label(&r.key);
            match (&r.test, value) {
                (Test::Exists, v) => v.is_some(),
                (Test::Missing, v) => v.is_none(),
                (Test::In(values), v) => v.is_some_and(|v| values.contains(&v)),
                (Test::NotIn(values), v) => v.is_none_or(|v| !values.contains(&v)),
                (Test::Above(n), v) => v.and_then(|v| v.parse().ok()).is_some_and(|v: i64| v > *n),
                (Test::Below(n), v) => v.and_then(|v| v.parse().ok()).is_some_and(|v: i64| v < *n),
            }
        })
    }
}

/// Splits the text into words and signs; blanks only separate.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let sign = match c {
            '!' if chars.peek() == Some(&'=') => {
                chars.next();
                Some("!=")
            }
            '=' => {
                if chars.peek() == Some(&'=') {
                    chars.next();
                }
                Some("=")
            }
            '!' => Some("!"),
            '(' => Some("("),
            ')' => Some(")"),
            ',' => Some(","),
            '<' => Some("<"),
            '>' => Some(">"),
            _ => None,
        };
        if sign.is_none() && !c.is_whitespace() {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        tokens.extend(sign.map(str::to_owned));
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

struct Parser<'t> {
    tokens: &'t [String],
    at: usize,
    text: &'t str,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Option<&'t str> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        let found = self.tokens.get(self.at.saturating_sub(1)).map_or("the end", String::as_str);
        Err(format!("`{}` is not a label selector: expected {expected}, found {found}", self.text))
    }

    fn all(&mut self) -> Result<Vec<Requirement>, String> {
        let mut all = Vec::new();
        if self.tokens.is_empty() {
            return Ok(all);
        }
        loop {
            all.push(self.requirement()?);
            match self.next() {
                None => return Ok(all),
                Some(",") if self.peek().is_some() => {}
                _ => return self.wrong("`,`"),
            }
        }
    }

    fn word(&mut self, what: &str) -> Result<String, String> {
        match self.next() {
            Some(w) if !matches!(w, "!" | "!=" | "=" | "(" | ")" | "," | "<" | ">") => Ok(w.to_owned()),
            _ => self.wrong(what),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == Some("!") {
            self.at += 1;
            return Ok(Requirement { key: self.word("a key")?, test: Test::Missing });
        }
        let key = self.word("a key")?;
        let test = match self.peek() {
            None | Some(",") => Test::Exists,
            Some("=") => Test::In(vec![self.value()?]),
            Some("!=") => Test::NotIn(vec![self.value()?]),
            Some(">") => Test::Above(self.number()?),
            Some("<") => Test::Below(self.number()?),
            Some("in") => Test::In(self.set()?),
            Some("notin") => Test::NotIn(self.set()?),
            _ => {
                self.at += 1;
                return self.wrong("an operator");
            }
        };
        Ok(Requirement { key, test })
    }

    /// Reads an operator and the one value after it, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        self.at += 1;
        if matches!(self.peek(), None | Some(",")) { Ok(String::new()) } else { self.word("a value") }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().or_else(|_| self.wrong("a whole number"))
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.at += 1;
        if self.next() != Some("(") {
            return self.wrong("`(`");
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                Some("," | ")") => values.push(String::new()),
                _ => values.push(self.word("a value")?),
            }
            match self.next() {
                Some(",") => {}
                Some(")") => return Ok(values),
                _ => return self.wrong("`,` or `)`"),
            }
        }
    }
}
