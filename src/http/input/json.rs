//! JSON parsing that detects repeated names in objects, at any depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::pointer;

pub struct Json {
    pub value: Value,
    /// JSON pointers of the repeated names.
    pub repeated: Vec<String>,
}

pub fn read(text: &[u8]) -> serde_json::Result<Json> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut repeated = Vec::new();
    let value = Cursor { path: &mut Vec::new(), repeated: &mut repeated }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Json { value, repeated })
}

/// Position of a value, and the repetitions found so far.
struct Cursor<'a> {
    path: &'a mut Vec<String>,
    repeated: &'a mut Vec<String>,
}

impl Cursor<'_> {
    fn inside(&mut self) -> Cursor<'_> {
        Cursor { path: self.path, repeated: self.repeated }
    }
}

impl<'de> DeserializeSeed<'de> for Cursor<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cursor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            self.path.push(format!("/{}", values.len()));
            let value = list.next_element_seed(self.inside())?;
            self.path.pop();
            match value {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            self.path.push(pointer(&name));
            if values.contains_key(&name) {
                self.repeated.push(self.path.concat());
            }
            let value = object.next_value_seed(self.inside())?;
            self.path.pop();
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_detected_at_any_depth() {
        for (text, repeated) in [
            (r#"{"a":1,"b":2}"#, &[][..]),
            (r#"{"a":1,"a":2}"#, &["/a"]),
            (r#"{"a":1,"\u0061":1}"#, &["/a"]),
            (r#"{"a":{"b":1,"b":1}}"#, &["/a/b"]),
            (r#"{"a":{"x":1},"b":{"x":1}}"#, &[]),
            (r#"{"a":[{"b":1},{"c/d":1,"c/d":2,"c/d":3}]}"#, &["/a/1/c~1d", "/a/1/c~1d"]),
            (r#"[[{"":1,"":1}],{"e":1}]"#, &["/0/0/"]),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().repeated, repeated, "{text}");
        }
    }

    #[test]
    fn other_values_are_parsed_normally() {
        let text = r#"{"a":[1,-1,1.5,true,null,"\u00fc",{}],"b":{"c":[]}}"#;
        assert_eq!(read(text.as_bytes()).unwrap().value, serde_json::from_str::<Value>(text).unwrap());
        for broken in ["", "{", "{} x", "{'a':1}", "1e999", "\"\\ud800\"", "[1,]"] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(read("[".repeat(50_000).as_bytes()).is_err(), "the depth is limited");
    }
}
