#include "simulation/internal/clients.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "simulation/internal/direct_call.h"

namespace kvstore::simulation::internal {
namespace {

using history::Operation;
using history::OperationKind;
using history::Outcome;

// How much later than its deadline a call is given up: a node that is paused or dead never answers.
constexpr Duration kGiveUp = std::chrono::seconds(1);
// After an error, and while no node is up.
constexpr Duration kRest = std::chrono::milliseconds(100);
// Clients of the judge have numbers of their own.
constexpr std::uint64_t kFirstAsker = 1'000'000;
constexpr std::uint16_t kRespPort = 6379;
constexpr std::uint16_t kHttpPort = 8080;

Status never() {
    return {Code::kDeadlineExceeded, Effect::kUnknown, "never answered"};
}

Answer never_answered(OperationKind kind) {
    return answer_of(never(), kind);
}

enum class Habit : std::uint8_t { kLinearizable, kCausal, kMixed };

// Redis databases are other keyspaces than the ones that a run makes.
bool has_keyspaces(Protocol protocol) {
    return protocol != Protocol::kResp;
}

OperationKind kind_of(Deed deed) {
    switch (deed) {
        case Deed::kWrite:
        case Deed::kExpire: return OperationKind::kWrite;
        case Deed::kRemove: return OperationKind::kDelete;
        case Deed::kCompareAndSet: return OperationKind::kCompareAndSet;
        case Deed::kIncrement: return OperationKind::kIncrement;
        case Deed::kAppend: return OperationKind::kAppend;
        default: return OperationKind::kRead;
    }
}

std::optional<WideKind> wide_kind_of(Deed deed) {
    switch (deed) {
        case Deed::kScan: return WideKind::kScan;
        case Deed::kReadMany: return WideKind::kReadMany;
        case Deed::kBatch: return WideKind::kBatch;
        case Deed::kConditional: return WideKind::kConditional;
        default: return std::nullopt;
    }
}

Operation read_of(const Bytes& key) {
    Operation read;
    read.kind = OperationKind::kRead;
    read.key = key;
    read.consistency = history::Consistency::kLinearizable;
    return read;
}

}  // namespace

struct Clients::Client {
    explicit Client(std::uint64_t seed) : random(seed) {}

    history::ClientId id;
    Protocol protocol = Protocol::kDirect;
    Habit habit = Habit::kLinearizable;
    Random random;
    sim::Host* host = nullptr;  // of a remote one
    std::unique_ptr<RemoteClient> remote;
    std::size_t at = 0;  // the node that it asks
    std::uint64_t serial = 0;
    std::map<Bytes, history::MaybeValue> seen;
    std::shared_ptr<kv::SessionToken> session;
    std::shared_ptr<Attempt> attempt;
    std::shared_ptr<WideAttempt> wide_attempt;
};

Clients::Clients(
    sim::World& world, Fleet& fleet, Random& random, const Options& options, const Plan& plan)
    : world_(world), fleet_(fleet), options_(options), plan_(plan) {
    const auto count =
        options.clients != 0 ? options.clients : static_cast<std::uint32_t>(random.between(4, 10));
    key_count_ =
        options.keys != 0 ? options.keys : static_cast<std::uint32_t>(random.between(2, 8));
    generation_span_ = std::chrono::seconds(random.between(5, 20));
    pause_ = options.pause > Duration(0) ? options.pause
                                         : std::chrono::milliseconds(random.between(5, 100));
    patience_max_ = std::chrono::milliseconds(random.between(1'000, 12'000));
    staleness_max_ = std::chrono::milliseconds(random.between(500, 5'000));
    for (std::uint32_t i = 0; i < count; ++i) {
        auto client = std::make_unique<Client>(random.next());
        client->id = history::ClientId(i + 1);
        const std::uint64_t way = random.below(6);
        client->protocol = way < 4    ? Protocol::kDirect
                           : way == 4 ? Protocol::kResp
                                      : Protocol::kRest;
        client->at = random.below(fleet.size());
        if (client->protocol == Protocol::kDirect) {
            client->habit = static_cast<Habit>(random.below(3));
        } else {
            client->host = &world.add_host("c" + std::to_string(i + 1));
            client->remote = std::make_unique<RemoteClient>(client->host->env(), client->protocol);
        }
        if (client->habit == Habit::kCausal) {
            client->session = std::make_shared<kv::SessionToken>();
        }
        clients_.push_back(std::move(client));
    }
}

Clients::~Clients() = default;

void Clients::start() {
    begin_ = world_.now();
    for (const std::unique_ptr<Client>& client : clients_) {
        ++busy_count_;
        next(*client);
    }
}

std::vector<Bytes> Clients::keys() const {
    std::set<Bytes> keys;
    for (const Operation& operation : history()) {
        keys.insert(operation.key);
    }
    return {keys.begin(), keys.end()};
}

// ---- what to do ----

// 0: it cannot do that.
std::uint32_t Clients::weight_of(const Client& client, Deed deed) const {
    if (!RemoteClient::can(client.protocol, kind_of(deed)) ||
        (wide_kind_of(deed) && client.protocol != Protocol::kDirect)) {
        return 0;
    }
    const Mix& mix = options_.mix;
    switch (deed) {
        case Deed::kRead: return mix.read;
        case Deed::kWrite: return mix.write;
        case Deed::kRemove: return mix.remove;
        case Deed::kCompareAndSet: return mix.compare_and_set;
        case Deed::kIncrement: return mix.increment;
        case Deed::kAppend: return mix.append;
        case Deed::kExpire: return plan_.has_expiry ? mix.expire : 0;
        case Deed::kScan: return mix.scan;
        case Deed::kReadMany: return mix.read_many;
        case Deed::kBatch: return mix.batch;
        case Deed::kConditional: return mix.conditional;
        case Deed::kCount: break;
    }
    return 0;
}

Deed Clients::choose_deed(Client& client) {
    constexpr auto kDeeds = static_cast<std::size_t>(Deed::kCount);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kDeeds; ++i) {
        total += weight_of(client, static_cast<Deed>(i));
    }
    if (total == 0) {
        return Deed::kRead;
    }
    std::uint64_t dice = client.random.below(total);
    for (std::size_t i = 0; i < kDeeds; ++i) {
        const std::uint32_t weight = weight_of(client, static_cast<Deed>(i));
        if (dice < weight) {
            return static_cast<Deed>(i);
        }
        dice -= weight;
    }
    return Deed::kRead;
}

std::string_view Clients::choose_keyspace(Client& client) {
    if (plan_.keyspaces.empty() || !has_keyspaces(client.protocol) || client.random.chance(1, 2)) {
        return {};
    }
    return plan_.keyspaces[client.random.below(plan_.keyspaces.size())].name;
}

std::uint64_t Clients::generation() const {
    return static_cast<std::uint64_t>((world_.now() - begin_) / generation_span_);
}

char Clients::choose_family(Client& client, Deed deed) {
    switch (deed) {
        case Deed::kIncrement: return kCounter;
        case Deed::kAppend: return kList;
        case Deed::kExpire: return kExpiring;
        case Deed::kRead:
        case Deed::kScan:
        case Deed::kReadMany: break;
        default: return kRegister;
    }
    const std::uint64_t dice = client.random.below(10);
    if (dice < 3 && plan_.has_expiry) {
        return kExpiring;
    }
    return dice < 7 ? kRegister : dice < 9 ? kCounter : kList;
}

Bytes Clients::fresh_value(Client& client) {
    return std::to_string(client.id.value()) + "-" + std::to_string(++client.serial);
}

Operation Clients::choose_operation(Client& client, Deed deed) {
    Operation question;
    question.client = client.id;
    question.kind = kind_of(deed);
    const char family = choose_family(client, deed);
    const std::uint32_t count = family == kRegister ? key_count_ : 2;
    const std::string_view keyspace = choose_keyspace(client);
    question.key = named(keyspace, key_name(family, generation(), client.random.below(count)));
    switch (question.kind) {
        case OperationKind::kWrite: question.argument = fresh_value(client); break;
        case OperationKind::kAppend: question.argument = fresh_value(client) + ";"; break;
        case OperationKind::kIncrement:
            question.delta = static_cast<std::int64_t>(client.random.between(1, 3));
            break;
        case OperationKind::kCompareAndSet:
            question.argument = fresh_value(client);
            question.expected = client.seen[question.key];
            break;
        case OperationKind::kRead:
        case OperationKind::kDelete: break;
    }
    return question;
}

kv::CallContext Clients::context_of(Client& client) {
    kv::CallContext context;
    context.deadline = async::Deadline::after(
        world_.now(), patience_max_ / static_cast<Duration::rep>(client.random.between(1, 4)));
    if (client.session != nullptr) {
        // A call that is given up must not change what the session has seen later.
        context.session = std::make_shared<kv::SessionToken>(*client.session);
    }
    return context;
}

void Clients::choose_level(Client& client, Attempt& attempt) {
    auto level = kv::Consistency::kLinearizable;
    if (client.habit == Habit::kCausal && client.random.chance(2, 3)) {
        level = kv::Consistency::kCausal;
    } else if (client.habit == Habit::kMixed && client.random.chance(1, 3)) {
        level = client.random.chance(1, 2) ? kv::Consistency::kBounded : kv::Consistency::kEventual;
    }
    attempt.context.consistency = level;
    attempt.context.max_staleness = staleness_max_;
    attempt.question.consistency = static_cast<history::Consistency>(level);
}

Member* Clients::choose_node(Client& client) {
    if (client.random.chance(1, 20)) {
        client.at = client.random.below(fleet_.size());
    }
    for (std::size_t i = 0; i < fleet_.size(); ++i) {
        Member& member = fleet_.at((client.at + i) % fleet_.size());
        if (member.is_up()) {
            client.at = (client.at + i) % fleet_.size();
            return &member;
        }
    }
    return nullptr;
}

// ---- doing it ----

void Clients::next(Client& client) {
    if (is_stopping_) {
        --busy_count_;
        return;
    }
    Member* const member = choose_node(client);
    if (member == nullptr) {
        world_.after(kRest, [this, &client] { next(client); });
        return;
    }
    const Deed deed = choose_deed(client);
    if (const auto wide = wide_kind_of(deed)) {
        send_widely(client, *member, *wide);
    } else {
        send(client, *member, deed);
    }
}

void Clients::go_on(Client& client, bool is_ok) {
    Duration rest = kRest;
    if (is_ok) {
        rest = Duration(static_cast<Duration::rep>(
            client.random.below(static_cast<std::uint64_t>(2 * pause_.count()) + 1)));
    } else {
        client.at = (client.at + 1) % fleet_.size();
    }
    world_.after(rest, [this, &client] { next(client); });
}

void Clients::send(Client& client, Member& member, Deed deed) {
    auto attempt = std::make_shared<Attempt>();
    attempt->question = choose_operation(client, deed);
    attempt->question.node = NodeId(client.at + 1);
    attempt->context = context_of(client);
    if (deed == Deed::kRead) {
        choose_level(client, *attempt);
    }
    if (deed == Deed::kExpire) {
        // HTTP counts in seconds.
        attempt->time_to_live = client.protocol == Protocol::kRest
                                    ? std::chrono::seconds(client.random.between(1, 3))
                                    : std::chrono::milliseconds(client.random.between(50, 3'000));
        attempt->question.expiry.emplace();
    }
    const Ticket ticket = recorder_.begin(attempt->question, world_.now());
    if (attempt->time_to_live) {
        Operation& write = recorder_.at(ticket);
        write.expiry->earliest = write.called + *attempt->time_to_live - doubt();
    }
    attempt->done = [this, &client, ticket](Answer answer) {
        finish(client, ticket, std::move(answer));
    };
    client.attempt = attempt;
    const Duration patience = attempt->context.deadline.at - world_.now() + kGiveUp;
    world_.after(patience, [attempt, kind = attempt->question.kind] {
        attempt->finish(never_answered(kind));
    });
    if (client.protocol == Protocol::kDirect) {
        member.host->spawn(call_directly(&member.node->kv(), std::move(attempt)));
        return;
    }
    const std::uint16_t port = client.protocol == Protocol::kResp ? kRespPort : kHttpPort;
    client.host->spawn(client.remote->call({.host = member.name, .port = port}, attempt));
}

// Who writes counts by one clock, and who reads by another; in milliseconds.
Duration Clients::doubt() const {
    return 2 * plan_.skew_max + std::chrono::milliseconds(1);
}

void Clients::record(Ticket ticket, Answer answer) {
    Operation& operation = recorder_.at(ticket);
    if (answer.outcome == Outcome::kOk) {
        operation.observed = std::move(answer.observed);
        operation.number = answer.number;
        operation.is_matched = answer.is_matched;
        operation.revision = answer.revision;
    }
    recorder_.end(ticket, answer.outcome, world_.now());
}

void Clients::note_seen(Client& client, Ticket ticket) {
    const Operation& operation = recorder_.at(ticket);
    if (operation.outcome != Outcome::kOk) {
        return;
    }
    if (operation.observed) {
        client.seen[operation.key] = *operation.observed;
    }
    if (operation.kind == OperationKind::kWrite) {
        client.seen[operation.key] = operation.argument;
    }
}

void Clients::finish(Client& client, Ticket ticket, Answer answer) {
    const bool is_ok = answer.outcome == Outcome::kOk;
    record(ticket, std::move(answer));
    note_seen(client, ticket);
    const std::shared_ptr<Attempt> attempt = std::exchange(client.attempt, nullptr);
    if (is_ok && attempt->time_to_live) {
        Operation& write = recorder_.at(ticket);
        write.expiry->latest = write.returned + *attempt->time_to_live + doubt();
    }
    if (client.session != nullptr && is_ok) {
        client.session->merge(*attempt->context.session);
    }
    go_on(client, is_ok);
}

// ---- several keys ----

// Of this generation and the one before, in any order. None is there twice.
std::vector<Bytes> Clients::some_keys(Client& client, char family, std::size_t count) {
    const std::uint64_t newest = generation();
    const std::uint32_t each = family == kRegister ? key_count_ : 2;
    std::vector<Bytes> keys;
    for (std::uint64_t at = newest == 0 ? 0 : newest - 1; at <= newest; ++at) {
        for (std::uint32_t number = 0; number < each; ++number) {
            keys.insert(
                keys.begin() + static_cast<std::ptrdiff_t>(client.random.below(keys.size() + 1)),
                key_name(family, at, number));
        }
    }
    keys.resize(std::min(keys.size(), count));
    return keys;
}

std::vector<Operation> Clients::choose_wide(Client& client,
                                            std::string_view keyspace,
                                            WideKind kind) {
    const bool is_write = kind == WideKind::kBatch || kind == WideKind::kConditional;
    const char family = is_write ? kRegister : choose_family(client, Deed::kScan);
    const std::size_t count = kind == WideKind::kScan          ? kKeysMax
                              : kind == WideKind::kConditional ? 2
                                                               : client.random.between(2, 5);
    std::vector<Operation> questions;
    for (const Bytes& key : some_keys(client, family, count)) {
        Operation question = read_of(key);
        if (is_write) {
            question.consistency.reset();
            question.kind =
                client.random.chance(1, 5) ? OperationKind::kDelete : OperationKind::kWrite;
        }
        if (kind == WideKind::kConditional && questions.empty()) {
            // As if it were written anew: nothing changes, whichever it is.
            question.kind = OperationKind::kCompareAndSet;
            question.expected = client.seen[named(keyspace, key)];
            question.argument = question.expected;
        } else if (question.kind == OperationKind::kWrite) {
            question.argument = fresh_value(client);
        }
        questions.push_back(std::move(question));
    }
    return questions;
}

void Clients::send_widely(Client& client, Member& member, WideKind kind) {
    auto attempt = std::make_shared<WideAttempt>();
    attempt->kind = kind;
    attempt->keyspace = choose_keyspace(client);
    attempt->questions = choose_wide(client, attempt->keyspace, kind);
    attempt->context = context_of(client);
    attempt->is_reverse = client.random.chance(1, 2);
    attempt->page_rows = client.random.chance(1, 3) ? 0 : client.random.between(1, 4);
    std::vector<Ticket> tickets;
    for (Operation question : attempt->questions) {
        question.client = client.id;
        question.key = named(attempt->keyspace, question.key);
        question.node = NodeId(client.at + 1);
        tickets.push_back(recorder_.begin(std::move(question), world_.now()));
    }
    attempt->done = [this, &client, asked = std::move(tickets)](std::vector<Answer> answers,
                                                                const std::string& oddity) {
        finish_widely(client, asked, std::move(answers), oddity);
    };
    client.wide_attempt = attempt;
    const Duration patience = attempt->context.deadline.at - world_.now() + kGiveUp;
    world_.after(patience, [attempt] { attempt->finish(never()); });
    member.host->spawn(call_directly(&member.node->kv(), std::move(attempt)));
}

void Clients::finish_widely(Client& client,
                            const std::vector<Ticket>& tickets,
                            std::vector<Answer> answers,
                            const std::string& oddity) {
    if (!oddity.empty()) {
        fleet_.fail(oddity);
    }
    bool is_any_ok = false;
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        is_any_ok = is_any_ok || answers[i].outcome == Outcome::kOk;
        record(tickets[i], std::move(answers[i]));
        note_seen(client, tickets[i]);
    }
    const auto attempt = std::exchange(client.wide_attempt, nullptr);
    if (client.session != nullptr && is_any_ok) {
        client.session->merge(*attempt->context.session);
    }
    go_on(client, is_any_ok);
}

void Clients::ask(Member& member, Operation question, Callback<void(const Answer&)> done) {
    question.client = history::ClientId(kFirstAsker + ++asker_count_);
    auto attempt = std::make_shared<Attempt>();
    attempt->context.deadline = async::Deadline::after(world_.now(), std::chrono::seconds(2));
    attempt->question = question;
    const auto ticket = recorder_.begin(std::move(question), world_.now());
    attempt->done = [this, ticket, told = std::move(done)](Answer answer) mutable {
        record(ticket, answer);
        told(answer);
    };
    world_.after(std::chrono::seconds(3), [attempt, kind = attempt->question.kind] {
        attempt->finish(never_answered(kind));
    });
    member.host->spawn(call_directly(&member.node->kv(), std::move(attempt)));
}

}  // namespace kvstore::simulation::internal
