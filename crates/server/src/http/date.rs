//! The `Date` of answers. The listener below keeps the one that it would add until its second is over: a clock
//! that was set back by a day leaves it a day ahead, and clients that correct their clocks by it sign for a time
//! at which the server refuses them.

use cairn_platform::Clock;
use chrono::{DateTime, Utc};
use http::header::DATE;
use http::{HeaderValue, Response};

/// Says in an answer what time it is.
pub(super) fn stamp<B>(response: &mut Response<B>, clock: &dyn Clock) {
    let now = DateTime::<Utc>::from_timestamp_millis(clock.now_ms()).unwrap_or_default();
    let text = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(DATE, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cairn_platform::ManualClock;
    use http::Response;

    use super::stamp;

    fn told(clock: &ManualClock) -> String {
        let mut response = Response::new(());
        stamp(&mut response, clock);
        let date = response.headers()["date"].to_str().expect("ASCII");
        date.to_owned()
    }

    // Proves: S8
    #[test]
    fn the_date_follows_the_clock_forward_and_back() {
        let clock = ManualClock::at(784_111_777_000);
        assert_eq!(told(&clock), "Sun, 06 Nov 1994 08:49:37 GMT");
        clock.advance(Duration::from_secs(3));
        assert_eq!(told(&clock), "Sun, 06 Nov 1994 08:49:40 GMT");
        clock.jump_to(784_111_777_000 - 86_400_000);
        assert_eq!(told(&clock), "Sat, 05 Nov 1994 08:49:37 GMT");
    }
}
