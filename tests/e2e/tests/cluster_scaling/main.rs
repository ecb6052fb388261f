//! Servers that follow their load on a real control plane, whose pods are processes with addresses of their own: from zero and
//! back, with calls arriving at any moment. Worth their minutes: nothing else shows what the scheduler, the controllers and
//! the slices of endpoints make of what the gateway asks for.

mod cycles;
mod faults;
mod load;
mod stage;
