//! Can this client reach that port in Kubernetes, and if not, which line of which policy says so?

pub mod analysis;
