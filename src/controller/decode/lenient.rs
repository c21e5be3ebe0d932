//! Null is the default of whatever is asked for: no text, no item, no field, zero. The API server leaves out
//! a list of nothing or writes null for it, and which of the two is a matter of how it declares the field.
//! This is written once, around all that decodes, so that no field has to remember it.

use std::fmt;
use std::iter::empty;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

/// Decodes a value in which null is the default, however deep.
///
/// # Errors
/// Where something is of another type, or missing without a default.
pub fn lenient<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::deserialize(Lenient(from))
}

/// A part of decoding, and all parts of it.
struct Lenient<T>(T);

macro_rules! or_default {
    ($($ask:ident gives $visit:ident($default:expr);)*) => {$(
        fn $ask<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            struct Ask<V>(V);

            impl<'de, V: Visitor<'de>> Visitor<'de> for Ask<V> {
                type Value = V::Value;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.expecting(formatter)
                }

                fn visit_none<E: Error>(self) -> Result<V::Value, E> {
                    self.0.$visit($default)
                }

                fn visit_some<D: Deserializer<'de>>(self, there: D) -> Result<V::Value, D::Error> {
                    there.$ask(Lenient(self.0))
                }
            }

            self.0.deserialize_option(Ask(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lenient<D> {
    type Error = D::Error;

    or_default! {
        deserialize_bool gives visit_bool(false);
        deserialize_i8 gives visit_i8(0);
        deserialize_i16 gives visit_i16(0);
        deserialize_i32 gives visit_i32(0);
        deserialize_i64 gives visit_i64(0);
        deserialize_u8 gives visit_u8(0);
        deserialize_u16 gives visit_u16(0);
        deserialize_u32 gives visit_u32(0);
        deserialize_u64 gives visit_u64(0);
        deserialize_f32 gives visit_f32(0.0);
        deserialize_f64 gives visit_f64(0.0);
        deserialize_str gives visit_str("");
        deserialize_string gives visit_str("");
        deserialize_seq gives visit_seq(SeqDeserializer::new(empty::<()>()));
        deserialize_map gives visit_map(MapDeserializer::new(empty::<((), ())>()));
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Lenient(visitor))
    }

    /// Whatever it is, or nothing that is looked into: null is one of the things that it can be.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_ignored_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_identifier(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

macro_rules! pass_on {
    ($($visit:ident: $type:ty;)*) => {$(
        fn $visit<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$visit(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Lenient<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    pass_on! {
        visit_bool: bool;
        visit_i64: i64;
        visit_u64: u64;
        visit_f64: f64;
        visit_str: &str;
        visit_borrowed_str: &'de str;
        visit_string: String;
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, there: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Lenient(there))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Lenient(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Lenient(fields))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Lenient(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Lenient(seed))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lenient<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Lenient(from))
    }
}
