//! The compact encoding of the core's values: CBOR (RFC 8949) with numbers instead of names. The numbers are part of
//! the stored format. Decoding checks the same bounds as parsing.

use std::sync::Arc;

use minicbor::bytes::{ByteArray, ByteSlice};
use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error as Unreadable};
use minicbor::encode::{Encode, Encoder, Error as Unwritable, Write};

use super::command::Request;
use super::policy::PolicyHash;
use super::values::{
    AppName, ChannelName, MessageId, NumberIndex, Ordinal, ProviderRef, Runner, Sealed, Timestamp, UserName,
    VerificationId,
};

macro_rules! written_as {
    ($value:ty, $form:ty, $write:expr, $read:expr) => {
        impl<C> Encode<C> for $value {
            fn encode<W: Write>(
                &self,
                encoder: &mut Encoder<W>,
                context: &mut C,
            ) -> Result<(), Unwritable<W::Error>> {
                let write: fn(&Self) -> $form = $write;
                write(self).encode(encoder, context)
            }
        }

        impl<'b, C> Decode<'b, C> for $value {
            fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Unreadable> {
                let read: fn($form) -> Option<Self> = $read;
                let position = decoder.position();
                read(Decode::decode(decoder, context)?)
                    .ok_or_else(|| Unreadable::message("a value out of bounds").at(position))
            }
        }
    };
}

written_as!(Timestamp, i64, |at| at.as_millis(), |millis| Some(Timestamp::from_millis(millis)));
written_as!(Runner, u64, |runner| runner.0, |epoch| Some(Runner(epoch)));
written_as!(Ordinal, u8, |ordinal| ordinal.get(), |count| Ordinal::nth(count.into()));
written_as!(VerificationId, ByteArray<16>, |id| id.to_bytes().into(), |bytes| Some(
    VerificationId::from_bytes(bytes.into())
));
written_as!(MessageId, ByteArray<16>, |id| id.to_bytes().into(), |bytes| MessageId::from_bytes(bytes.into()));
written_as!(NumberIndex, ByteArray<16>, |index| index.0.into(), |bytes| Some(NumberIndex(bytes.into())));
written_as!(PolicyHash, ByteArray<16>, |hash| hash.0.into(), |bytes| Some(PolicyHash(bytes.into())));
written_as!(Sealed, &ByteSlice, |sealed| (&*sealed.0).into(), |bytes| Some(Sealed((**bytes).into())));
written_as!(UserName, &str, |name| name.as_str(), |name| UserName::parse(name).ok());
written_as!(ChannelName, &str, |name| name.as_str(), |name| Some(ChannelName::new(name)));
written_as!(AppName, &str, |name| name.as_str(), |name| Some(AppName::new(name)));

/// A hidden id is encoded as bytes, a quarter fewer than its text.
impl<C> Encode<C> for ProviderRef {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), Unwritable<W::Error>> {
        match self.to_hidden_bytes() {
            Some(bytes) => encoder.bytes(&bytes)?,
            None => encoder.str(self.as_str())?,
        };
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for ProviderRef {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Unreadable> {
        let position = decoder.position();
        let read = match decoder.datatype()? {
            Type::Bytes => Self::from_hidden_bytes(decoder.bytes()?),
            _ => Self::parse(decoder.str()?).ok(),
        };
        read.ok_or_else(|| Unreadable::message("a value out of bounds").at(position))
    }
}

/// The encoding of a field that is shared in memory.
pub mod shared {
    use super::*;

    pub fn encode<C, W: Write>(
        request: &Arc<Request>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), Unwritable<W::Error>> {
        (**request).encode(encoder, context)
    }

    pub fn decode<'b, C>(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Arc<Request>, Unreadable> {
        Request::decode(decoder, context).map(Arc::new)
    }
}
