//! Times as texts and numbers: what is read is written and read again as the same time.
#![no_main]

use cairn_access::sigv4::AmzTime;
use cairn_api::Timestamp;
use cairn_model::EventTime;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(time) = text.parse::<EventTime>() {
        let again: EventTime = time.to_string().parse().expect("our own form");
        assert_eq!(again.as_seconds(), time.as_seconds());
        let from_micros = EventTime::from_micros(time.as_micros());
        assert_eq!(from_micros, Ok(time));
    }
    if let Ok(time) = AmzTime::parse_date_header(text) {
        assert_eq!(AmzTime::parse(&time.to_string()), Ok(time));
        assert_eq!(time.date(), time.to_string()[..8]);
    }
    if let Some(time) = text.parse().ok().and_then(Timestamp::from_seconds) {
        let event_time = time.to_event_time();
        assert_eq!(event_time.as_micros(), time.as_micros().max(0));
    }
});
