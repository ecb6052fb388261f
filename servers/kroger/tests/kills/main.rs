//! Replicas that are killed at random moments while customers add to carts and lists: no addition is made twice, none that was
//! answered is lost, and nobody is signed out but by a kill that fell on a renewal.

mod crowd;
mod customer;
mod database;
mod replica;
#[path = "../support/mod.rs"]
mod support;
mod verdict;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};

use crowd::{Crowd, Reply};
use customer::{Customer, Told};
use database::{Database, Lease};
use replica::Replica;
use support::{On, Plan, World};

const CUSTOMERS: usize = 12;
const KILLS: usize = 10;
/// Longest time in which something gets done.
const PATIENCE: Duration = Duration::from_mins(1);
/// A renewal takes less than this, so a lease that was held at a kill and still is held now belongs to who was killed.
const RENEWAL: Duration = Duration::from_secs(5);

/// Not a test of its own: this program, started again as a replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_replica() {
    replica::serve().await;
}

#[rstest]
#[case::one_with_a_file(On::File, false, 1)]
#[case::three_with_postgresql(On::Postgres, false, 3)]
#[case::three_with_postgresql_and_redis(On::Postgres, true, 3)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_that_was_answered_and_do_nothing_twice(
    #[case] on: On,
    #[case] redis: bool,
    #[case] replicas: usize,
) {
    let seed = std::env::var("KILLS_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{on:?}, Redis {redis}, {replicas} replicas: KILLS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let mut run = Run::start(on, redis, replicas, &mut random).await;
    run.shop_and_kill(&mut random).await;
    run.settle(&mut random).await;
    run.judge(begun.elapsed(), &mut random).await;
}

/// One run: the world, its replicas and its customers.
struct Run {
    world: World,
    replicas: Vec<Replica>,
    crowd: Arc<Crowd>,
    customers: Vec<Arc<Customer>>,
    database: Database,
    /// Leases of processes that were killed, by user.
    orphans: BTreeMap<String, u32>,
}

impl Run {
    async fn start(on: On, redis: bool, replicas: usize, random: &mut StdRng) -> Self {
        let world = World::start(Plan { on, redis, replicas: 0, ..Plan::default() }).await;
        // Said to be short, so that kills fall on renewals; a busy machine may take longer between fetching a token and using it.
        world.settings(json!({ "token_seconds": 60, "claimed_seconds": 3 })).await;
        let environment = world.environment(([127, 0, 0, 1], 9).into(), &[("DATABASE_MAX_CONNECTIONS", "4")]);
        let url = &environment.iter().find(|(name, _)| name == "DATABASE_URL").unwrap().1;
        let mut running = Vec::new();
        for number in 0..replicas {
            let log = world.folder.path().join(format!("replica-{number}.log"));
            running.push(Replica::start(environment.clone(), log).await);
        }
        let crowd = Arc::new(Crowd::new(world.standin, running.iter().map(Replica::seat).collect()));
        let database = Database::open(url).await;
        let customers = customers(&crowd, &database, random).await;
        world.fault(json!({ "kind": "jitter", "milliseconds": 60 })).await;
        Self { world, replicas: running, crowd, customers, database, orphans: BTreeMap::new() }
    }

    async fn shop_and_kill(&mut self, random: &mut StdRng) {
        let mut devices = Vec::new();
        for customer in &self.customers {
            for _ in 0..2 {
                let random = StdRng::seed_from_u64(random.random());
                devices.push(tokio::spawn(Arc::clone(customer).shop(Arc::clone(&self.crowd), random)));
            }
        }
        let mut held: Vec<(Instant, Lease)> = Vec::new();
        for _ in 0..KILLS {
            self.wait_for_moment(random).await;
            let number = random.random_range(0..self.replicas.len());
            self.replicas[number].kill();
            held.extend(self.database.leases().await.into_iter().map(|lease| (Instant::now(), lease)));
            if self.replicas.len() == 1 {
                self.let_pass(&mut held, Duration::ZERO).await;
            }
            self.replicas[number].start_again().await;
            self.let_pass(&mut held, RENEWAL).await;
        }
        self.crowd.stop.cancel();
        let mut shopping = std::pin::pin!(futures::future::join_all(devices));
        loop {
            tokio::select! {
                ended = &mut shopping => break ended.into_iter().for_each(|device| device.unwrap()),
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
            self.let_pass(&mut held, RENEWAL).await;
        }
        self.let_pass(&mut held, Duration::ZERO).await;
    }

    /// Waits until some changes were answered, and a random time: no condition, but what is tried.
    async fn wait_for_moment(&self, random: &mut StdRng) {
        let due = self.crowd.done.load(Ordering::Relaxed) + random.random_range(5..20);
        let deadline = Instant::now() + PATIENCE;
        while self.crowd.done.load(Ordering::Relaxed) < due {
            assert!(Instant::now() < deadline, "nothing gets done");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
    }

    /// Lets the time pass for which leases of killed processes last. In the real time a test of it would take a minute.
    async fn let_pass(&mut self, held: &mut Vec<(Instant, Lease)>, after: Duration) {
        let due = held.extract_if(.., |(since, _)| since.elapsed() >= after);
        for (_, lease) in due.collect::<Vec<_>>() {
            if self.database.let_pass(&lease).await {
                *self.orphans.entry(lease.user).or_default() += 1;
            }
        }
    }

    /// Everybody adds once more, having signed in again where that is asked for: nobody stays out.
    async fn settle(&mut self, random: &mut StdRng) {
        for customer in &self.customers {
            let done = async {
                loop {
                    let before = customer.ledger.lock().unwrap().additions.len();
                    customer.add(&self.crowd, random).await;
                    let ledger = customer.ledger.lock().unwrap();
                    if ledger.additions.len() == before || ledger.additions[before].told == Told::Done {
                        break;
                    }
                }
            };
            let done = tokio::time::timeout(PATIENCE, done).await;
            assert!(done.is_ok(), "{} cannot add any more", customer.name);
        }
    }

    async fn shown(&self, random: &mut StdRng, customer: &Customer, tool: &str) -> Value {
        match self.crowd.call(random, tool, &json!({ "session_id": customer.session })).await {
            Reply::Answer(StatusCode::OK, body) => body,
            Reply::Answer(status, body) => panic!("{tool}: {status} {body}"),
            Reply::Broken | Reply::NotSent => panic!("{tool} without an answer"),
        }
    }

    async fn judge(self, took: Duration, random: &mut StdRng) {
        let kroger = self.world.look("carts").await;
        let mut wrong = std::mem::take(&mut *self.crowd.failures.lock().unwrap());
        for customer in &self.customers {
            let shown = self.shown(random, customer, "manage_cart").await;
            wrong.extend(verdict::of_cart(customer, &kroger[&customer.name], &shown["items"]));
            wrong.extend(verdict::of_lists(customer, &self.shown(random, customer, "shopping_lists").await));
            let profile = self.shown(random, customer, "user_profile").await;
            if profile["account"] != "linked" {
                wrong.push(format!("{} is not signed in: {profile}", customer.name));
            }
            wrong.extend(self.signed_out_without_a_kill(customer));
        }
        wrong.extend(self.miscounted().await);
        wrong.extend(self.own_faults());
        self.print(took).await;
        let reasons = self.database.ended_sign_ins().await;
        if let Some(other) =
            reasons.keys().find(|reason| !reason.contains("an earlier renewal got no answer"))
        {
            wrong.push(format!("a sign-in ended by itself: {other}"));
        }
        let ended: usize = reasons.values().sum();
        let cut_off = usize::try_from(self.orphans.values().sum::<u32>()).unwrap();
        if ended > cut_off {
            wrong.push(format!("{ended} sign-ins ended by {cut_off} renewals that were cut off"));
        }
        self.database.close().await;
        if !wrong.is_empty() {
            self.replicas.iter().for_each(|replica| println!("{}", replica.log()));
        }
        assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// A customer who had to sign in more often than kills fell on a renewal of the customer's.
    fn signed_out_without_a_kill(&self, customer: &Customer) -> Option<String> {
        let again = customer.ledger.lock().unwrap().signed_in_again;
        let orphans = self.orphans.get(&customer.user).copied().unwrap_or(0);
        (again > orphans)
            .then(|| format!("{} signed in {again} times again, by {orphans} kills", customer.name))
    }

    /// Faults of the replicas but for a database that gives no answer in time, which is so while the machine is busy.
    fn own_faults(&self) -> Vec<String> {
        let logs = self.replicas.iter().map(Replica::log).collect::<String>();
        let faults = logs.lines().filter(|line| line.contains("ERROR") || line.contains("panicked"));
        faults.filter(|line| !line.contains("the database does not answer")).map(str::to_owned).collect()
    }

    /// The count of the day covers each call that Kroger has seen; over that are only those whose process was killed before it
    /// sent them.
    async fn miscounted(&self) -> Option<String> {
        let (used, seen) = (self.database.used("cart").await, self.world.asked("PUT /v1/cart/add").await);
        let broken: u64 = self.customers.iter().map(|customer| customer.count(Told::Broken)).sum();
        // A replica that gets no answer of a database for two seconds counts alone for a while: a kill takes that along, and what the
        // database did without answering is counted twice.
        let alone =
            self.replicas.iter().any(|replica| replica.log().contains("this replica counts on alone"));
        println!(
            "cart: {seen} calls seen, {used} counted, {broken} cut off by kills, counted alone: {alone}"
        );
        let most = if alone { 2 * (seen + broken) } else { seen + broken };
        (used < seen && !alone || used > most)
            .then(|| format!("{used} calls counted of {seen} seen and {broken} cut off"))
    }

    async fn print(&self, took: Duration) {
        let count = |told| self.customers.iter().map(|customer| customer.count(told)).sum::<u64>();
        let (done, unknown, not) = (count(Told::Done), count(Told::Unknown), count(Told::Not));
        println!("additions: {done} done, {unknown} answered as unknown, {not} not made");
        let items: usize = self.customers.iter().map(|one| one.ledger.lock().unwrap().items.len()).sum();
        println!("answers that the database is away: {}", self.crowd.away.load(Ordering::Relaxed));
        println!("items: {items}; calls cut off: {}", self.crowd.broken.load(Ordering::Relaxed));
        let again: u32 = self.customers.iter().map(|one| one.ledger.lock().unwrap().signed_in_again).sum();
        let orphans: u32 = self.orphans.values().sum();
        let tokens = self.world.asked("/oauth2/token").await;
        println!("{orphans} renewals cut off by kills, {again} signed in again; {tokens} calls for tokens");
        println!("ended sign-ins: {:?}; {:.1} s", self.database.ended_sign_ins().await, took.as_secs_f64());
    }
}

async fn customers(crowd: &Crowd, database: &Database, random: &mut StdRng) -> Vec<Arc<Customer>> {
    let mut customers: Vec<Arc<Customer>> = Vec::new();
    for number in 0..CUSTOMERS {
        let name = format!("customer-{number}");
        let session = crowd.sign_in(random, &name).await;
        let users = database.users().await;
        let user = users.into_iter().find(|user| customers.iter().all(|other| other.user != *user)).unwrap();
        customers.push(Arc::new(Customer::new(name, session, user)));
    }
    customers
}
