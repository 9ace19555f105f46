// SPDX-License-Identifier: Apache-2.0
//
// simulator: hours of calls and changes of a pool in virtual time, through the real model,
// publisher, table of calls and steer().
//
// The law: a message of a call in progress never reaches a backend other than its owner while the
// owner runs. The owner is the backend that got the call's first request; it runs until it is
// killed (a pause does not kill it). A subscription is in progress until the Expires of the last
// SUBSCRIBE that its owner got has passed (RFC 6665 §4.1.2.1). There is one exception by design:
// initial and standalone requests do not wait for a backend that is down, so a call without an
// answer may start again elsewhere.
//
// Counts are correct as well: when all calls have ended and ringing calls have timed out, none is
// counted, whatever strangers have sent (checked in runs in which no message that ends a call is
// lost before the balancer).
#pragma once

#include "control_desk.hpp"
#include "model/pool.hpp"
#include "own_table.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"
#include "state/state_file.hpp"
#include "steer_by.hpp"
#include "valid_snapshot.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <spdlog/spdlog.h>
#include <string>
#include <vector>

namespace viaduct::test {

struct SimulatorOptions {
    std::uint64_t seed = 1;
    std::uint64_t messages = 100'000; ///< the run ends after this many
    double calls_a_second = 1;
    double seconds_between_changes = 200;
    double loss = 0.02; ///< of messages after the balancer
    std::chrono::milliseconds call_lifetime{4 * 3'600'000};
    /// Seconds between messages within a call, for its whole length; 0: no regular ones.
    double refresh = 0;
    std::optional<std::chrono::milliseconds> max_call{};
    bool remembers = true; ///< false: there is no table of calls
    bool count_calls = false;
    SteerBy steering = SteerBy::Hash;
    TableKind table = TableKind::Rendezvous;
    KeyConfig key;
    bool tiers = false; ///< two of six backends are spare; backends that come back wait
    bool failback = true;
    ForwardMode mode = ForwardMode::DsrL2;
    /// No backend is killed, the balancer runs; at the end all calls end and are counted.
    bool counts = false;
};

/// The result of a run.
struct SimulatorResult {
    std::uint64_t messages = 0;
    std::uint64_t calls = 0;
    std::uint64_t changes = 0;
    std::uint64_t restarts = 0;
    std::uint64_t reloads = 0;    ///< of `changes`
    std::uint64_t resteered = 0;  ///< requests whose owner was paused for longer than 64*T1
    std::uint64_t transfers = 0;  ///< calls that refer to another one
    std::uint64_t outgoing = 0;   ///< calls started by a backend
    std::uint64_t twins = 0;      ///< messages also checked with a second balancer
    std::uint64_t wrong = 0;      ///< messages that broke the law
    std::uint64_t undecided = 0;  ///< messages of calls with a running owner that went nowhere
    std::uint64_t unequal = 0;    ///< decisions that a second look would not repeat
    std::uint64_t remembered = 0; ///< calls added to the table
    std::uint64_t forks = 0;      ///< calls of several branches through the VIP
    std::uint64_t made_up = 0;    ///< messages of strangers
    std::uint64_t left = 0;       ///< calls counted after all have ended
    std::uint64_t load = 0;       ///< the same, by the numbers that workers use
    std::uint64_t most = 0;       ///< calls counted before that
    std::string first_wrong;      ///< the messages of the first broken call
};

class Simulator {
public:
    explicit Simulator(const SimulatorOptions& options)
        : options_(options), random_(options.seed), config_(make_config(options)),
          table_(options.remembers ? own_.table : CallTable{}), process_(start(KeptState{})) {
        spdlog::set_level(spdlog::level::warn); // each reload logs its changes
    }

    SimulatorResult run() {
        for (const BackendState& backend : model().backends())
            set_health(backend.id, Health::Up);
        at(exponential(1 / options_.calls_a_second), [this] { begin_call(); });
        at(exponential(options_.seconds_between_changes), [this] { go_on_changing(); });
        while (result_.messages < options_.messages && !events_.empty()) {
            advance_to(events_.top().at);
            const auto act = events_.top().act;
            events_.pop();
            act();
        }
        if (options_.counts) end_all();
        return result_;
    }

private:
    static constexpr SteeringSecret kSecret{9};
    static constexpr PoolId kPool{0};
    static constexpr std::size_t kBackends = 6;

    struct Event {
        TimePoint at;
        std::uint64_t number;
        std::function<void()> act;
        bool operator<(const Event& other) const {
            return std::pair(at, number) > std::pair(other.at, other.number);
        }
    };
    struct Call {
        std::string id;
        std::string tag;
        std::optional<BackendId> owner;
        unsigned owner_life = 0; ///< life of the owner when it got the call
        bool answered = false;
        bool over = false;
        std::optional<TimePoint> expires;     ///< of a subscription
        bool is_out = false;                  ///< a backend started it, and its request has passed
        std::shared_ptr<const Call> replaces; ///< the call that it replaces
        bool began_elsewhere = false;         ///< because that call's backend was down
        bool is_refused = false;              ///< its subscription is refused
        bool is_made_up = false;              ///< by a stranger: no guarantee applies
        std::string story;
    };
    /// State lost when the balancer is killed. Workers' snapshots and the table are elsewhere.
    struct Process {
        Process(Config& config,
                CallTable table,
                const KeptState& kept,
                TimePoint now,
                std::function<std::string()> keep_state)
            : model(model_of(config, kept)), publisher(config, kSecret, 0),
              sweeper(table, publisher), reloader({config,
                                                   model,
                                                   publisher,
                                                   health,
                                                   sweeper,
                                                   [](const Config&, const auto&) {},
                                                   std::move(keep_state)}),
              health(config, model, next_hops, 0, 1) {
            take_up(kept, model, publisher, now);
        }
        PoolModel model;
        Publisher publisher;
        CallSweeper sweeper;
        Reloader reloader;
        HostPaths next_hops;
        HealthChecker health;
    };
    using CallPtr = std::shared_ptr<Call>;
    static constexpr std::uint64_t kTwins = 10; ///< second balancers per run
    struct Message {
        Method method = Method::Invite;
        std::uint16_t status = 0; ///< 0: a request
        std::string from_tag;
        std::string to_tag;
        std::string branch;
    };

    static BackendConfig make_backend(std::size_t i) {
        BackendConfig backend;
        backend.name = "b" + std::to_string(i + 1);
        backend.endpoint = endpoint("198.51.100." + std::to_string(i + 21), 5060);
        return backend;
    }
    static Config make_config(const SimulatorOptions& options) {
        Config config;
        config.max_call = options.max_call;
        config.pools.emplace_back();
        config.pools[0].name = "proxies";
        config.pools[0].call_lifetime = options.call_lifetime;
        config.pools[0].count_calls = options.count_calls;
        config.pools[0].steering = options.steering;
        config.pools[0].mode = options.mode;
        config.pools[0].table = options.table;
        config.pools[0].key = options.key;
        for (std::size_t i = 0; i < kBackends; ++i) {
            config.pools[0].backends.push_back(make_backend(i));
            if (options.tiers && i >= 4) config.pools[0].backends.back().tier = 1;
        }
        if (options.tiers) {
            config.pools[0].min_up = 3;
            config.pools[0].hold_down = std::chrono::seconds(20);
            config.pools[0].slow_start = std::chrono::seconds(300);
            config.pools[0].failback = options.failback;
        }
        config.vips = {{"sip", endpoint("198.51.100.10", 5060), "proxies", true}};
        return config;
    }

    // ---- time

    using Seconds = std::chrono::duration<double>;
    double uniform(double from, double to) {
        return std::uniform_real_distribution<double>(from, to)(random_);
    }
    double exponential(double mean) {
        return std::exponential_distribution<double>(1 / mean)(random_);
    }
    bool happens(double probability) { return uniform(0, 1) < probability; }

    void at(double seconds_from_now, std::function<void()> act) {
        events_.push({now_ + std::chrono::duration_cast<Clock::duration>(Seconds(seconds_from_now)),
                      ++event_number_,
                      std::move(act)});
    }

    [[nodiscard]] CallTime call_time() const {
        const auto seconds =
            std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count();
        return CallTime(static_cast<std::uint64_t>(seconds / publisher().call_unit().count()));
    }

    void advance_to(TimePoint next) {
        constexpr std::chrono::milliseconds kTick{100};
        while (now_ + kTick < next) {
            now_ += kTick;
            tick();
        }
        now_ = next;
        tick();
    }

    PoolModel& model() { return process_->model; }
    Publisher& publisher() { return process_->publisher; }
    [[nodiscard]] const Publisher& publisher() const { return process_->publisher; }
    CallSweeper& sweeper() { return process_->sweeper; }

    /// Sets the result of a probe; a balancer that does not run gets it later.
    void set_health(BackendId id, Health health) {
        seen_[index(id)] = health;
        if (!is_away()) model().set_health(id, health, "", now_);
    }
    void set_admin(BackendId id, Admin admin) {
        if (is_away())
            at(5, [=, this] { set_admin(id, admin); });
        else
            model().set_admin(id, admin, "", now_);
    }

    /// Applies another configuration, as a reload of the file does.
    void reload(const std::function<void(Config&)>& change) {
        if (is_away()) {
            at(5, [=, this] { reload(change); });
            return;
        }
        Config next = config_;
        change(next);
        process_->reloader.apply(next, now_);
    }

    // ---- kill -9 and restart

    [[nodiscard]] std::unique_ptr<Process> start(const KeptState& kept) {
        return std::make_unique<Process>(config_, table_, kept, now_, [this] {
            write_state();
            return std::string();
        });
    }
    void write_state() {
        state_of_ = {model().version(), publisher().current()->number};
        state_written_ = now_;
        state_ = print_state(state_of(model(), publisher(), 1), kSecret, moment());
    }
    [[nodiscard]] bool is_away() const { return now_ < back_at_; }
    [[nodiscard]] Moment moment() const {
        constexpr std::chrono::hours kSomeYear{24 * 365 * 50};
        return {now_,
                std::chrono::system_clock::time_point(
                    std::chrono::duration_cast<std::chrono::system_clock::duration>(
                        kSomeYear + now_.time_since_epoch()))};
    }
    /// Like StateWriter: at least a second after the last time.
    void keep_state() {
        if (now_ < state_written_ + std::chrono::seconds(1) ||
            (state_of_ == std::pair(model().version(), publisher().current()->number) &&
             now_ < state_written_ + std::chrono::seconds(15)))
            return;
        write_state();
    }
    void kill_balancer() {
        if (is_away() || state_.empty()) return;
        ++result_.restarts;
        back_at_ = now_ + std::chrono::duration_cast<Clock::duration>(
                              Seconds(happens(0.8) ? uniform(0.1, 5) : uniform(5, 200)));
    }
    void start_again() {
        back_at_ = {};
        snapshots_.clear();
        published_ = 0;
        process_ = start(parse_state(state_, kSecret, moment()));
        static_cast<void>(publisher().build(model(), now_));
        sweeper().mark_kept(call_time());
        at(uniform(0.05, 1), [this] { // first probes
            for (std::size_t i = 0; i < kBackends; ++i)
                set_health(static_cast<BackendId>(i), seen_[i]);
        });
    }

    void tick() {
        if (is_away()) return;
        if (back_at_ != TimePoint{}) start_again();
        if (now_ >= next_sweep_) { // a whole pass at once; nothing runs concurrently
            const std::uint64_t passes = sweeper().passes();
            while (table_.exists() && sweeper().passes() == passes && !snapshots_.empty())
                sweeper().tick(call_time(), now_);
            next_sweep_ = now_ + std::chrono::seconds(60);
        }
        if (publisher().current() != nullptr) keep_state();
        if (published_ == model().version() && !publisher().is_stale(model(), now_)) return;
        published_ = model().version();
        snapshots_.push_back(publisher().build(model(), now_));
        expect_valid(*snapshots_.back());
        snapshot_since_ = now_;
        if (snapshots_.size() > 2) snapshots_.pop_front();
    }

    /// Returns one worker's snapshot: some workers use the last one for a few milliseconds.
    const Snapshot& some_snapshot() {
        const bool fresh = now_ - snapshot_since_ < std::chrono::milliseconds(5);
        return fresh && snapshots_.size() == 2 && happens(0.5) ? *snapshots_.front()
                                                               : *snapshots_.back();
    }

    // ---- the balancer

    static SipDigest digest_of(const Call& call, const Message& message) {
        SipDigest digest;
        digest.kind = message.status != 0 ? PayloadKind::Response : PayloadKind::Request;
        digest.method = message.status != 0 ? Method::Other : message.method;
        digest.status = message.status;
        digest.cseq = CSeq{1, message.method};
        digest.call_id = call.id;
        digest.from_tag = message.from_tag;
        digest.to_tag = message.to_tag;
        digest.has_to_tag = !message.to_tag.empty();
        digest.top_via_branch = message.branch;
        return digest;
    }

    /// Returns the parts of the text that steering reads in addition to the digest.
    [[nodiscard]] std::string text_of(const Call& call, const Message& message) const {
        if (message.status != 0) return {};
        if (message.method == Method::Subscribe)
            return "SUBSCRIBE sip:b@example.com SIP/2.0\r\nCall-ID: " + call.id +
                   "\r\nExpires: " + std::to_string(expiry().count()) + "\r\n\r\n";
        if (message.method == Method::Invite && call.replaces)
            return "INVITE sip:b@example.com SIP/2.0\r\nCall-ID: " + call.id +
                   "\r\nReplaces: " + call.replaces->id + ";to-tag=a;from-tag=b\r\n\r\n";
        return {};
    }
    /// Seconds between the refreshes of a subscription.
    [[nodiscard]] double every() const { return options_.refresh > 0 ? options_.refresh : 1'500; }
    [[nodiscard]] std::chrono::seconds expiry() const {
        return std::chrono::seconds(static_cast<int>(3 * every()));
    }

    /// Sends a request outward from the backend that has the call.
    void send_out(const CallPtr& call, const Message& message) {
        if (is_away() || !call->owner || !runs(*call->owner)) return;
        ++result_.messages;
        const SipDigest digest = digest_of(*call, message);
        const SteerView view{some_snapshot(), table_, call_time()};
        const std::uint64_t hash = steering_hash(view.snapshot.pools[index(kPool)], digest);
        result_.remembered += note_outgoing(view, kPool, digest, hash, {}, *call->owner).remembered;
        call->story += std::to_string(Seconds(now_.time_since_epoch()).count()) + " s: out from b" +
                       std::to_string(index(*call->owner) + 1) + " method " +
                       std::to_string(static_cast<int>(message.method)) + "\n";
        call->is_out = true;
    }

    void send(const CallPtr& call, const Message& message) {
        if (is_away()) return; // lost
        ++result_.messages;
        const SipDigest digest = digest_of(*call, message);
        const SteerView view{some_snapshot(), table_, call_time()};
        const std::string text = text_of(*call, message);
        // The caller's address; messages from the callee have another one.
        const ReceivedMessage received{
            std::as_bytes(std::span(text)),
            Ipv4Addr{static_cast<std::uint32_t>(std::hash<std::string>{}(message.from_tag))}};
        const Steering expected = would_steer(view, kPool, digest, received);
        const std::uint64_t hash = steering_hash(view.snapshot.pools[index(kPool)], digest);
        const Steering steering = steer(view, kPool, digest, hash, received);
        result_.unequal += steering.backend != expected.backend;
        if (result_.messages % (options_.messages / kTwins) == 0) ask_twin(digest, received);
        if (!steering.backend && steering.refusal == Outcome::HealthUnknown) return; // lost
        result_.remembered += steering.remembered;
        if (!call->is_made_up) note(*call, message, steering);
        judge(*call, steering, view.snapshot, message.status);
        const bool arrives = steering.backend && runs(*steering.backend) && !happens(options_.loss);
        if (arrives && !call->owner && steering.role == MessageRole::Initial)
            take(*call, *steering.backend);
        if (!arrives || call->owner != steering.backend || message.method != Method::Subscribe)
            return;
        if (options_.mode == ForwardMode::Nat) {
            // A subscription is granted only when its answer has passed.
            if (!call->expires) call->expires = now_ + transaction_time(config_);
            at(uniform(0.01, 5), [=, this] { hear(call, message); });
        } else if (!call->is_refused) {
            call->expires = now_ + expiry();
        }
    }

    /// Passes the answer of a nat backend to a SUBSCRIBE, which grants it or not.
    void hear(const CallPtr& call, Message message) {
        if (is_away() || !call->owner || !runs(*call->owner)) return;
        message.status = call->is_refused ? 403 : 200;
        message.to_tag = "notifier";
        const SipDigest digest = digest_of(*call, message);
        const std::string text = "SIP/2.0 200 OK\r\nCall-ID: " + call->id +
                                 "\r\nExpires: " + std::to_string(expiry().count()) + "\r\n\r\n";
        const SteerView view{some_snapshot(), table_, call_time()};
        hear_answer(view, kPool, digest, {std::as_bytes(std::span(text)), {}}, *call->owner);
        if (!call->is_refused && !call->over) call->expires = now_ + expiry();
    }

    /// Starts no new calls; lets all others finish.
    void end_all() {
        constexpr std::chrono::minutes kTimerC{5}; // plus a margin for the table's units
        const auto count = [this] {
            result_.left = result_.load = 0;
            for (std::size_t id = 0; id < kBackends; ++id) {
                result_.left += sweeper().counts()[id].active();
                result_.load += publisher().loads()[id].all();
            }
        };
        count();
        result_.most = result_.left;
        is_ending_ = true;
        while (!events_.empty()) {
            advance_to(events_.top().at);
            const auto act = events_.top().act;
            events_.pop();
            act();
        }
        advance_to(now_ + expiry() + kTimerC);
        count();
    }

    /// Checks that another balancer with the same configuration, state and table decides the same.
    void ask_twin(const SipDigest& digest, const ReceivedMessage& received) {
        if (published_ != model().version() || publisher().is_stale(model(), now_)) return;
        const KeptState kept = parse_state(
            print_state(state_of(model(), publisher(), 0), kSecret, moment()), kSecret, moment());
        const std::unique_ptr<Process> twin = start(kept);
        for (const BackendState& one : model().backends()) // found by its own probes
            if (one.exists()) twin->model.set_health(one.id, one.health, "", one.down_since);
        static_cast<void>(twin->publisher.build(twin->model, now_));
        twin->sweeper.mark_kept(call_time());
        const SteerView here{*snapshots_.back(), table_, call_time()};
        const SteerView there{*twin->publisher.current(), table_, call_time()};
        const Steering said = would_steer(there, kPool, digest, received);
        if (said.refusal == Outcome::HealthUnknown && !said.backend) return; // seen too long ago
        ++result_.twins;
        result_.unequal += said.backend != would_steer(here, kPool, digest, received).backend;
    }

    void
    judge(Call& call, const Steering& steering, const Snapshot& snapshot, std::uint16_t status) {
        if (call.over) return;
        if (!call.owner && call.replaces) judge_transfer(call, steering, snapshot);
        if (!call.owner) return;
        if (lives_[index(*call.owner)] != call.owner_life) { // the owner was killed
            call.owner.reset();
            call.over = true;
            return;
        }
        if (call.expires && now_ > *call.expires) { // no refresh arrived
            call.over = true;
            return;
        }
        if (steering.backend == call.owner) return;
        // After 64*T1 requests go elsewhere. The owner may come back and keeps the call.
        const bool is_dead = snapshot.backends[index(*call.owner)].life == BackendLife::Dead;
        if (is_dead && steering.role == MessageRole::InCall && status == 0) {
            ++result_.resteered;
            return;
        }
        if (steering.role != MessageRole::InCall && waits(*call.owner, snapshot) &&
            !call.answered) {
            call.owner.reset(); // it starts again
            return;
        }
        ++(steering.backend ? result_.wrong : result_.undecided);
        if (result_.first_wrong.empty()) result_.first_wrong = call.story;
    }

    /// Whether initial and standalone requests for that backend go to another one.
    [[nodiscard]] bool waits(BackendId id, const Snapshot& snapshot) {
        return snapshot.backends[index(id)].life != BackendLife::Serves ||
               now_ - model().backend(id).down_since < transaction_time(config_);
    }

    /// Checks that the first message of a call goes to the backend of the call that it refers to.
    void judge_transfer(Call& call, const Steering& steering, const Snapshot& snapshot) {
        const Call& other = *call.replaces;
        if (!other.owner || other.over || lives_[index(*other.owner)] != other.owner_life ||
            steering.backend == other.owner || call.began_elsewhere)
            return;
        if (waits(*other.owner, snapshot)) { // it stays there, even if this message is lost
            call.began_elsewhere = true;
            return;
        }
        ++result_.wrong;
        if (result_.first_wrong.empty())
            result_.first_wrong = other.story + "transfer:\n" + call.story;
    }

    void take(Call& call, BackendId backend) {
        call.owner = backend;
        call.owner_life = lives_[index(backend)];
    }
    [[nodiscard]] bool runs(BackendId id) const { return running_[index(id)]; }

    void note(Call& call, const Message& message, const Steering& steering) {
        call.story += std::to_string(Seconds(now_.time_since_epoch()).count()) + " s: method " +
                      std::to_string(static_cast<int>(message.method)) + " status " +
                      std::to_string(message.status) + (message.to_tag.empty() ? "" : " to-tag") +
                      " slot " + std::to_string(steering.slot) + " rule " +
                      std::to_string(static_cast<int>(steering.rule)) + " " +
                      std::string(name_of(steering.slot_state)) + " -> " +
                      (steering.backend ? "b" + std::to_string(index(*steering.backend) + 1)
                                        : std::string("nowhere")) +
                      "\n";
        if (call.story.size() > 4'000) call.story.erase(0, 2'000);
    }

    // ---- calls

    [[nodiscard]] std::string fresh(const char* what) { return what + std::to_string(++names_); }
    /// Sends a request repeatedly until it is answered, as by timer A or E.
    void send_repeated(const CallPtr& call, const Message& message, double until) {
        send(call, message);
        double wait = 0.5;
        double after = 0;
        while (after + wait < until) {
            after += wait;
            wait = std::min(wait * 2, 4.0);
            at(after, [=, this] { send(call, message); });
        }
    }

    void begin_call() {
        if (is_ending_) return;
        at(exponential(1 / options_.calls_a_second), [this] { begin_call(); });
        ++result_.calls;
        auto call = std::make_shared<Call>();
        call->id = fresh("call-") + "@192.0.2.1";
        call->tag = fresh("caller");
        switch (std::uniform_int_distribution<int>(0, 16)(random_)) {
        case 0:
            canceled(call);
            break;
        case 1:
            challenged(call);
            break;
        case 2:
            forked(call);
            break;
        case 3:
            forked_in_turn(call);
            break;
        case 4:
            subscription(call);
            break;
        case 5:
            backends_own(call);
            break;
        case 6:
            forked_at_once(call);
            break;
        case 7:
            refused_subscription(call);
            break;
        case 8:
            made_up(call);
            break;
        case 9:
            unasked_notify(call);
            break;
        default:
            invite(call, happens(0.2) ? uniform(5, 170) : uniform(0.1, 8));
            break;
        }
    }

    Message request(const CallPtr& call, Method method, const std::string& to_tag = {}) {
        return {method, 0, call->tag, to_tag, fresh("z9hG4bK")};
    }

    void invite(const CallPtr& call, double ringing) {
        const Message sent = request(call, Method::Invite);
        send_repeated(call, sent, happens(0.3) ? std::min(ringing, 31.0) : 0.1);
        at(ringing, [=, this] { answer(call, fresh("callee"), 1); });
    }

    /// Handles a 200: ACK, requests within the call, BYE by either side.
    void answer(const CallPtr& call, const std::string& to_tag, double bye_probability) {
        if (!call->owner) return; // no server has the call, so there is no answer
        call->answered = true;
        send(call, request(call, Method::Ack, to_tag));
        const double length = happens(0.1) ? uniform(0, 10'000) : exponential(180);
        for (int more = std::uniform_int_distribution<int>(0, 3)(random_); more > 0; --more)
            at(uniform(0, length), [=, this] {
                static constexpr Method kInside[] = {
                    Method::Invite, Method::Update, Method::Info, Method::Refer, Method::Options};
                const bool by_callee = happens(0.5);
                Message inside = request(
                    call, kInside[std::uniform_int_distribution<int>(0, 4)(random_)], to_tag);
                if (by_callee) std::swap(inside.from_tag, inside.to_tag);
                send_repeated(call, inside, 2);
            });
        if (options_.refresh > 0)
            for (double when = options_.refresh; when < length; when += options_.refresh)
                at(when, [=, this] { send(call, request(call, Method::Update, to_tag)); });
        if (happens(0.1)) at(uniform(0, length), [=, this] { transfer(call); });
        if (!happens(bye_probability)) return;
        at(length, [=, this] { hang_up(call, to_tag, true); });
    }

    /// A third party takes over, in a separate call that refers to this one (RFC 3891).
    void transfer(const CallPtr& from) {
        ++result_.transfers;
        auto call = std::make_shared<Call>();
        call->id = fresh("transfer-") + "@192.0.2.2";
        call->tag = fresh("third");
        call->replaces = from;
        invite(call, uniform(0.1, 8));
    }

    void hang_up(const CallPtr& call, const std::string& to_tag, bool last) {
        Message bye = request(call, Method::Bye, to_tag);
        if (happens(0.5)) std::swap(bye.from_tag, bye.to_tag);
        const double until = happens(0.1) ? 31 : 1.2;
        send_repeated(call, bye, until);
        if (last) at(until, [=] { call->over = true; });
    }

    /// A backend calls an outside party (nat).
    void backends_own(const CallPtr& call) {
        const BackendId id{static_cast<std::uint16_t>(
            std::uniform_int_distribution<std::size_t>(0, kBackends - 1)(random_))};
        if (!runs(id) || !model().backend(id).exists()) return;
        ++result_.outgoing;
        take(*call, id);
        call->answered = true; // it does not start again elsewhere
        const Message sent = request(call, Method::Invite);
        for (const double again : {0.0, 0.5, 1.5, 3.5, 7.5})
            at(again, [=, this] { send_out(call, sent); });
        const double ringing = uniform(8, 60);
        const std::string callee = fresh("callee");
        const auto from_outside = [=, this](double when, Method method, std::uint16_t status) {
            at(when, [=, this] {
                if (!call->is_out) return;
                Message message = request(call, method, callee);
                message.status = status;
                if (status == 0) std::swap(message.from_tag, message.to_tag);
                send(call, message);
            });
        };
        const double length = std::min(exponential(180), every());
        from_outside(uniform(0.5, 8), Method::Invite, 180);
        from_outside(ringing, Method::Invite, 200);
        at(ringing + 0.1, [=, this] { send_out(call, request(call, Method::Ack, callee)); });
        from_outside(ringing + uniform(0, length), Method::Update, 0);
        if (happens(0.5)) {
            from_outside(ringing + length, Method::Bye, 0);
        } else {
            at(ringing + length, [=, this] { send_out(call, request(call, Method::Bye, callee)); });
            from_outside(ringing + length + 0.1, Method::Bye, 200);
        }
        at(ringing + length + 1, [=] { call->over = true; });
    }

    void canceled(const CallPtr& call) {
        const Message sent = request(call, Method::Invite);
        send_repeated(call, sent, uniform(0.5, 31));
        at(uniform(1, 175), [=, this] {
            Message cancel = sent;
            cancel.method = Method::Cancel;
            send_repeated(call, cancel, 3);
            if (!call->owner) return;
            at(0.2, [=, this] {
                Message ack = sent;
                ack.method = Method::Ack;
                ack.to_tag = "callee";
                send(call, ack);
                at(32, [=] { call->over = true; });
            });
        });
    }

    void challenged(const CallPtr& call) {
        const Message sent = request(call, Method::Invite);
        send(call, sent);
        at(uniform(0.05, 1), [=, this] {
            if (!call->owner) return;
            Message ack = sent;
            ack.method = Method::Ack;
            ack.to_tag = "refused";
            send(call, ack);
            at(uniform(0.05, 30), [=, this] { invite(call, uniform(0.1, 60)); });
        });
    }

    /// Two callees answer: the caller hangs up on one of them and goes on with the other.
    void forked(const CallPtr& call) {
        send(call, request(call, Method::Invite));
        at(uniform(1, 20), [=, this] {
            const std::string first = fresh("callee");
            const std::string second = fresh("callee");
            if (!call->owner) return;
            call->answered = true;
            send(call, request(call, Method::Ack, second));
            answer(call, first, 1);
            at(uniform(0.1, 2), [=, this] { hang_up(call, second, false); });
        });
    }

    /// A proxy in front tries one callee after another, all with the same Call-ID.
    void forked_in_turn(const CallPtr& call) {
        const Message first = request(call, Method::Invite);
        send_repeated(call, first, 4);
        at(uniform(10, 30), [=, this] {
            Message cancel = first;
            cancel.method = Method::Cancel;
            send(call, cancel);
            invite(call, uniform(1, 25));
            at(0.3, [=, this] {
                Message ack = first;
                ack.method = Method::Ack;
                ack.to_tag = "canceled";
                send(call, ack);
            });
        });
    }

    /// A proxy in front tries several callees at once, through the VIP and with one Call-ID.
    void forked_at_once(const CallPtr& call) {
        ++result_.forks;
        std::vector<Message> branches;
        const int count = std::uniform_int_distribution<int>(2, 5)(random_);
        for (int i = 0; i < count; ++i) {
            branches.push_back(request(call, Method::Invite));
            at(uniform(0, 0.2), [=, this, sent = branches.back()] {
                send_repeated(call, sent, happens(0.3) ? 8 : 0.1);
            });
        }
        const auto refused = [=, this](Message ack, double when) {
            ack.method = Method::Ack;
            ack.to_tag = fresh("busy");
            at(when, [=, this] { send(call, ack); });
            if (happens(0.3)) at(when + 0.5, [=, this] { send(call, ack); }); // its 486 came twice
        };
        const double ringing = uniform(1, 30);
        const bool is_answered = happens(0.5);
        for (std::size_t i = is_answered ? 1 : 0; i < branches.size(); ++i)
            refused(branches[i], uniform(0.5, ringing + 1)); // or canceled when one was answered
        if (is_answered)
            at(ringing, [=, this] { answer(call, fresh("callee"), 1); });
        else
            at(ringing + 35, [=] { call->over = true; });
    }

    void refused_subscription(const CallPtr& call) {
        call->is_refused = true;
        send_repeated(call, request(call, Method::Subscribe), happens(0.5) ? 4 : 0.1);
        at(33, [=] { call->over = true; });
    }

    /// A stranger sends messages in a dialog that does not exist.
    void made_up(const CallPtr& call) {
        call->is_made_up = true;
        const auto method = static_cast<Method>(
            std::uniform_int_distribution<int>(0, static_cast<int>(Method::Update))(random_));
        Message message = request(call, method, fresh("made-up"));
        if (happens(0.2)) message.status = 200;
        for (int more = std::uniform_int_distribution<int>(1, 4)(random_); more > 0; --more)
            at(uniform(0, 100), [=, this] {
                ++result_.made_up;
                send(call, message);
            });
    }

    /// NOTIFY without a subscription: from a client, or from a backend (nat) that gets the answer.
    void unasked_notify(const CallPtr& call) {
        const BackendId id{static_cast<std::uint16_t>(
            std::uniform_int_distribution<std::size_t>(0, kBackends - 1)(random_))};
        const Message notify = request(call, Method::Notify, happens(0.5) ? fresh("phone") : "");
        if (happens(0.5)) {
            call->is_made_up = true;
            send_repeated(call, notify, 2);
            return;
        }
        if (!runs(id) || !model().backend(id).exists()) return;
        take(*call, id);
        send_out(call, notify);
        at(uniform(0.1, 20), [=, this] {
            if (!call->is_out) return;
            Message answer = notify;
            answer.status = 200;
            answer.to_tag = "phone";
            send(call, answer);
        });
        at(32, [=] { call->over = true; });
    }

    void subscription(const CallPtr& call) {
        const std::string to_tag = fresh("notifier");
        send_repeated(call, request(call, Method::Subscribe), happens(0.5) ? 20 : 0.1);
        Message notify = request(call, Method::Notify, call->tag); // may arrive before the 200
        notify.from_tag = to_tag;
        at(0.01, [=, this] { send(call, notify); });
        const int refreshes = std::uniform_int_distribution<int>(0, 4)(random_);
        for (int i = 1; i <= refreshes; ++i)
            at(i * every(),
               [=, this] { send_repeated(call, request(call, Method::Subscribe, to_tag), 2); });
        at(refreshes * every() + 100, [=] { call->over = true; });
    }

    // ---- changes

    void go_on_changing() {
        if (is_ending_) return;
        at(exponential(options_.seconds_between_changes), [this] { go_on_changing(); });
        change();
    }

    void change() {
        ++result_.changes;
        const BackendId id{static_cast<std::uint16_t>(
            std::uniform_int_distribution<std::size_t>(0, kBackends - 1)(random_))};
        const BackendState& backend = model().backend(id);
        const int which = std::uniform_int_distribution<int>(0, 6)(random_);
        switch (options_.counts && which != 3 && which != 5 ? 0 : which) {
        case 0: // a drain, and back
            set_admin(id, Admin::Drain);
            at(uniform(1, 2'000), [=, this] { set_admin(id, Admin::Enabled); });
            break;
        case 1: // killed, and back
            if (!runs(id)) break;
            running_[index(id)] = false;
            ++lives_[index(id)];
            at(1, [=, this] { set_health(id, Health::Down); });
            at(uniform(5, 2'000), [=, this] {
                running_[index(id)] = true;
                at(1, [=, this] { set_health(id, Health::Up); });
            });
            break;
        case 2: // a pause: it answers no probes, and knows its calls afterwards
            if (!runs(id) || backend.health != Health::Up) break;
            set_health(id, Health::Down);
            at(happens(0.7) ? uniform(0.5, 20) : uniform(20, 300), [=, this] {
                if (runs(id)) set_health(id, Health::Up);
            });
            break;
        case 3: // overloaded
            if (backend.health != Health::Up) break;
            set_health(id, Health::Busy);
            at(uniform(1, 600), [=, this] {
                if (runs(id) && model().backend(id).health == Health::Busy)
                    set_health(id, Health::Up);
            });
            break;
        case 4: // the balancer itself, now or during the next change
            if (happens(0.5)) change();
            at(uniform(0, 3), [this] { kill_balancer(); });
            break;
        case 5: // another configuration file
            change_file(id);
            break;
        default: // two changes at once
            set_admin(id, Admin::Drain);
            at(uniform(1, 50), [=, this] { set_admin(id, Admin::Enabled); });
            at(uniform(0, 50), [this] { change(); });
            break;
        }
    }

    void change_file(BackendId id) {
        const auto is_it = [name = make_backend(index(id)).name](const BackendConfig& one) {
            return one.name == name;
        };
        const bool is_there = std::ranges::any_of(config_.pools[0].backends, is_it);
        ++result_.reloads;
        if (is_there && happens(0.4) && config_.pools[0].backends.size() > 3) { // it leaves
            reload([=](Config& config) { std::erase_if(config.pools[0].backends, is_it); });
            at(uniform(1, 5'000), [=, this] {
                reload([=](Config& config) {
                    if (std::ranges::none_of(config.pools[0].backends, is_it))
                        config.pools[0].backends.push_back(make_backend(index(id)));
                });
            });
        } else if (is_there && happens(0.8)) {
            const auto weight = std::uniform_int_distribution<unsigned>(1, 8)(random_) * 25;
            reload([=](Config& config) {
                for (BackendConfig& backend : config.pools[0].backends)
                    if (is_it(backend)) backend.weight = weight;
            });
        } else { // another way to fill its table
            reload([](Config& config) {
                TableKind& table = config.pools[0].table;
                table = table == TableKind::Maglev ? TableKind::Rendezvous : TableKind::Maglev;
            });
        }
    }

    SimulatorOptions options_;
    std::mt19937_64 random_;
    Config config_;
    OwnTable own_;
    CallTable table_;
    TimePoint now_{std::chrono::hours(1)};
    std::unique_ptr<Process> process_;
    TimePoint back_at_{}; ///< of a killed balancer
    std::string state_;   ///< the state file's content
    TimePoint state_written_{};
    std::pair<std::uint64_t, std::uint64_t> state_of_;
    std::array<Health, kBackends> seen_{}; ///< results of probes
    std::uint64_t published_ = 0;
    std::deque<std::unique_ptr<const Snapshot>> snapshots_;
    TimePoint snapshot_since_{};
    TimePoint next_sweep_{};
    std::priority_queue<Event> events_;
    std::uint64_t event_number_ = 0;
    bool is_ending_ = false;
    std::uint64_t names_ = 0;
    std::array<bool, kBackends> running_{true, true, true, true, true, true};
    std::array<unsigned, kBackends> lives_{};
    SimulatorResult result_;
};

} // namespace viaduct::test
