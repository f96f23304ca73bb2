//! The stored form of routing headers, version 1. `docs/formats/routing-header.md` draws it.
//!
//! The log's frames carry the checksum and say what a record is; here stands a version byte, then fields in a fixed
//! order. Every header has exactly one encoding, so whatever decodes encodes to the same bytes again.

use std::borrow::Cow;

use crate::{
    AccountId, EventClass, EventTime, HeaderError, Region, ResourceReference, RoutingHeader,
};

/// The version that this build writes, and the only one so far.
const VERSION: u8 = 1;

/// A resource takes at least this many bytes: its mark, an absent type, the length of its name.
const RESOURCE_BYTES_MIN: usize = 3;

const FLAG_READ_ONLY_KNOWN: u8 = 0b001;
const FLAG_READ_ONLY: u8 = 0b010;
const FLAG_CONSOLE_SESSION: u8 = 0b100;

impl RoutingHeader<'_> {
    /// Appends the stored form to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut flags = match self.read_only {
            None => 0,
            Some(false) => FLAG_READ_ONLY_KNOWN,
            Some(true) => FLAG_READ_ONLY_KNOWN | FLAG_READ_ONLY,
        };
        if self.session_credential_from_console {
            flags |= FLAG_CONSOLE_SESSION;
        }
        out.extend_from_slice(&[VERSION, self.class.code(), flags]);
        out.extend_from_slice(self.account.as_str().as_bytes());
        out.extend_from_slice(&self.event_time.as_micros().to_le_bytes());
        push_text(out, self.region.as_str());
        for text in [
            &self.event_id,
            &self.event_name,
            &self.event_source,
            &self.event_type,
        ] {
            push_text(out, text);
        }
        for text in [
            &self.error_code,
            &self.vpc_endpoint_id,
            &self.user_identity_arn,
            &self.user_name,
            &self.access_key_id,
        ] {
            push_optional_text(out, text.as_deref());
        }
        push_number(out, self.resources.len());
        for resource in &self.resources {
            out.push(u8::from(resource.in_record));
            push_optional_text(out, resource.resource_type.as_deref());
            push_text(out, &resource.name);
        }
    }
}

impl<'a> RoutingHeader<'a> {
    /// Reads the stored form. Texts borrow from `bytes`; anything but exactly one header is refused.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let mut reader = Reader { bytes, at: 0 };
        match reader.byte()? {
            VERSION => {}
            other => return Err(HeaderError::Version(other)),
        }
        let class = reader.checked(Reader::byte, |code| EventClass::from_code(*code))?;
        let flags = reader.checked(Reader::byte, |flags| {
            let known = *flags & FLAG_READ_ONLY_KNOWN != 0;
            let consistent = known || *flags & FLAG_READ_ONLY == 0;
            (*flags < 0b1000 && consistent).then_some(*flags)
        })?;
        let account = reader.checked(|reader| reader.take(12), |digits| account(digits))?;
        let event_time = reader.checked(
            |reader| reader.take(8),
            |micros| {
                let micros = i64::from_le_bytes((*micros).try_into().ok()?);
                EventTime::from_micros(micros).ok()
            },
        )?;
        let region = reader.checked(Reader::text, |text| text.parse::<Region>().ok())?;
        let event_id = Cow::Borrowed(reader.text()?);
        let event_name = Cow::Borrowed(reader.text()?);
        let event_source = Cow::Borrowed(reader.text()?);
        let event_type = Cow::Borrowed(reader.text()?);
        let error_code = reader.optional_text()?;
        let vpc_endpoint_id = reader.optional_text()?;
        let user_identity_arn = reader.optional_text()?;
        let user_name = reader.optional_text()?;
        let access_key_id = reader.optional_text()?;
        let resources = reader.resources()?;
        if reader.at != bytes.len() {
            return Err(HeaderError::Malformed(reader.at));
        }
        Ok(Self {
            class,
            account,
            region,
            event_time,
            event_id,
            event_name,
            event_source,
            event_type,
            read_only: (flags & FLAG_READ_ONLY_KNOWN != 0).then_some(flags & FLAG_READ_ONLY != 0),
            error_code,
            vpc_endpoint_id,
            session_credential_from_console: flags & FLAG_CONSOLE_SESSION != 0,
            user_identity_arn,
            user_name,
            access_key_id,
            resources,
        })
    }
}

impl EventClass {
    fn code(self) -> u8 {
        match self {
            Self::Management => 1,
            Self::Data => 2,
            Self::NetworkActivity => 3,
            Self::Insight => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [
            Self::Management,
            Self::Data,
            Self::NetworkActivity,
            Self::Insight,
        ]
        .into_iter()
        .find(|class| class.code() == code)
    }
}

fn account(digits: &[u8]) -> Option<AccountId> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A number of at most 32 bits, seven bits a byte, lowest first, as short as possible.
fn push_number(out: &mut Vec<u8>, number: usize) {
    let mut rest = u32::try_from(number).expect("events are bounded far below 4 GiB");
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_number(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Zero for an absent text, otherwise its length and one, then the text.
fn push_optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            push_number(out, text.len() + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a value and converts it; a value that does not convert is reported where it starts.
    fn checked<R, T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<R, HeaderError>,
        convert: impl FnOnce(&R) -> Option<T>,
    ) -> Result<T, HeaderError> {
        let start = self.at;
        let value = read(self)?;
        convert(&value).ok_or(HeaderError::Malformed(start))
    }

    fn byte(&mut self) -> Result<u8, HeaderError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HeaderError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(HeaderError::Malformed(self.at))?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, HeaderError> {
        let start = self.at;
        let malformed = HeaderError::Malformed(start);
        let mut number = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return match u32::try_from(number) {
                    Ok(number) if shortest => usize::try_from(number).map_err(|_| malformed),
                    _ => Err(malformed),
                };
            }
        }
        Err(malformed)
    }

    fn text(&mut self) -> Result<&'a str, HeaderError> {
        let length = self.number()?;
        self.text_of(length)
    }

    fn optional_text(&mut self) -> Result<Option<Cow<'a, str>>, HeaderError> {
        match self.number()? {
            0 => Ok(None),
            length => Ok(Some(Cow::Borrowed(self.text_of(length - 1)?))),
        }
    }

    fn text_of(&mut self, length: usize) -> Result<&'a str, HeaderError> {
        self.checked(
            |reader| reader.take(length),
            |bytes| std::str::from_utf8(bytes).ok(),
        )
    }

    fn resources(&mut self) -> Result<Vec<ResourceReference<'a>>, HeaderError> {
        let count = self.checked(Self::number, |count| Some(*count))?;
        // A foreign count must not reserve more than the bytes that are there can hold.
        let possible = (self.bytes.len() - self.at) / RESOURCE_BYTES_MIN;
        if count > possible {
            return Err(HeaderError::Malformed(self.at));
        }
        let mut resources = Vec::with_capacity(count);
        for _ in 0..count {
            let in_record = self.checked(Self::byte, |mark| match mark {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            })?;
            let resource_type = self.optional_text()?;
            let name = Cow::Borrowed(self.text()?);
            resources.push(ResourceReference {
                resource_type,
                name,
                in_record,
            });
        }
        Ok(resources)
    }
}
