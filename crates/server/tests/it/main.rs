//! A whole server in this process, spoken to as clients do.

mod access_logs; // access logs of buckets, from request to object
mod bucket; // the S3 endpoint: records, policies, rates, metrics
mod downloads; // large answers, slow and stalled clients
mod errors; // what refused requests hear, by code and protocol
mod http2; // frames that no HTTP library would send
mod identity; // calls of users, roles and strangers, and their records
mod ingest; // the door for producers' events
mod key_appointments; // KMS: deletion and rotation when their time has come
mod key_policies; // KMS: who may use a key, own accounts and others
mod keys; // KMS: keys, aliases, their use, and the records of the calls
mod lifecycle; // stop, restart, recovery
mod lookups; // LookupEvents: attributes, pages, tokens, rates
mod memory; // what requests may hold, and who comes first when it is full
mod metrics; // what the metrics page names and shows
mod open_routes; // what answers without credentials
mod raw_http; // requests that no HTTP library would send
mod sessions; // temporary credentials whose holder changes, and several accounts
mod tls; // encrypted connections and what records say of them
mod uploads; // bodies that are wrong, slow or cut off; uploads of other accounts and of services
