#include "simulation/internal/clients.h"

#include <algorithm>
#include <array>
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

Answer never_answered(OperationKind kind) {
    return answer_of(Status(Code::kDeadlineExceeded, Effect::kUnknown, "never answered"), kind);
}

enum class Habit : std::uint8_t { kLinearizable, kCausal, kMixed };

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
};

Clients::Clients(sim::World& world, Fleet& fleet, Random& random, const Options& options)
    : world_(world), fleet_(fleet), options_(options) {
    const auto count =
        options.clients != 0 ? options.clients : static_cast<std::uint32_t>(random.between(4, 10));
    key_count_ =
        options.keys != 0 ? options.keys : static_cast<std::uint32_t>(random.between(2, 8));
    generation_ = std::chrono::seconds(random.between(5, 20));
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

OperationKind Clients::choose_kind(Client& client) const {
    const Mix& mix = options_.mix;
    const std::array<std::pair<OperationKind, std::uint32_t>, 6> weights{
        {{OperationKind::kRead, mix.read},
         {OperationKind::kWrite, mix.write},
         {OperationKind::kDelete, mix.remove},
         {OperationKind::kCompareAndSet, mix.compare_and_set},
         {OperationKind::kIncrement, mix.increment},
         {OperationKind::kAppend, mix.append}}};
    std::uint64_t total = 0;
    for (const auto& [kind, weight] : weights) {
        total += RemoteClient::can(client.protocol, kind) ? weight : 0U;
    }
    if (total == 0) {
        return OperationKind::kRead;
    }
    std::uint64_t dice = client.random.below(total);
    for (const auto& [kind, weight] : weights) {
        if (!RemoteClient::can(client.protocol, kind)) {
            continue;
        }
        if (dice < weight) {
            return kind;
        }
        dice -= weight;
    }
    return OperationKind::kRead;
}

// Registers are read, written and compared; counters only added to; lists only appended to.
Bytes Clients::choose_key(Client& client, OperationKind kind) {
    const auto generation = (world_.now() - begin_) / generation_;
    char family = 'r';
    if (kind == OperationKind::kIncrement) {
        family = 'n';
    } else if (kind == OperationKind::kAppend) {
        family = 'a';
    } else if (kind == OperationKind::kRead) {
        const std::uint64_t dice = client.random.below(10);
        family = dice < 7 ? 'r' : dice < 9 ? 'n' : 'a';
    }
    const std::uint32_t count = family == 'r' ? key_count_ : 2;
    return family + std::to_string(generation) + "." + std::to_string(client.random.below(count));
}

Operation Clients::choose_operation(Client& client) {
    Operation question;
    question.client = client.id;
    question.kind = choose_kind(client);
    question.key = choose_key(client, question.kind);
    const Bytes fresh = std::to_string(client.id.value()) + "-" + std::to_string(++client.serial);
    switch (question.kind) {
        case OperationKind::kWrite: question.argument = fresh; break;
        case OperationKind::kAppend: question.argument = fresh + ";"; break;
        case OperationKind::kIncrement:
            question.delta = static_cast<std::int64_t>(client.random.between(1, 3));
            break;
        case OperationKind::kCompareAndSet:
            question.argument = fresh;
            question.expected = client.seen[question.key];
            break;
        case OperationKind::kRead:
        case OperationKind::kDelete: break;
    }
    return question;
}

kv::CallContext Clients::context_of(Client& client, Operation& question) {
    kv::CallContext context;
    context.deadline = async::Deadline::after(
        world_.now(), patience_max_ / static_cast<Duration::rep>(client.random.between(1, 4)));
    if (client.session != nullptr) {
        // A call that is given up must not change what the session has seen later.
        context.session = std::make_shared<kv::SessionToken>(*client.session);
    }
    if (question.kind != OperationKind::kRead) {
        return context;
    }
    auto level = kv::Consistency::kLinearizable;
    if (client.habit == Habit::kCausal && client.random.chance(2, 3)) {
        level = kv::Consistency::kCausal;
    } else if (client.habit == Habit::kMixed && client.random.chance(1, 3)) {
        level = client.random.chance(1, 2) ? kv::Consistency::kBounded : kv::Consistency::kEventual;
    }
    context.consistency = level;
    context.max_staleness = staleness_max_;
    question.consistency = static_cast<history::Consistency>(level);
    return context;
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
    send(client, *member, choose_operation(client));
}

void Clients::send(Client& client, Member& member, Operation question) {
    auto attempt = std::make_shared<Attempt>();
    attempt->context = context_of(client, question);
    question.node = NodeId(client.at + 1);
    attempt->question = question;
    const auto ticket = recorder_.begin(std::move(question), world_.now());
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

void Clients::record(history::Recorder::Ticket ticket, Answer answer) {
    Operation& operation = recorder_.at(ticket);
    if (answer.outcome == Outcome::kOk) {
        operation.observed = std::move(answer.observed);
        operation.number = answer.number;
        operation.is_matched = answer.is_matched;
        operation.revision = answer.revision;
    }
    recorder_.end(ticket, answer.outcome, world_.now());
}

void Clients::finish(Client& client, history::Recorder::Ticket ticket, Answer answer) {
    const bool is_ok = answer.outcome == Outcome::kOk;
    record(ticket, std::move(answer));
    const Operation& operation = recorder_.at(ticket);
    if (is_ok && operation.observed) {
        client.seen[operation.key] = *operation.observed;
    }
    if (is_ok && operation.kind == OperationKind::kWrite) {
        client.seen[operation.key] = operation.argument;
    }
    const std::shared_ptr<Attempt> attempt = std::exchange(client.attempt, nullptr);
    if (client.session != nullptr && is_ok) {
        client.session->merge(*attempt->context.session);
    }
    Duration rest = kRest;
    if (is_ok) {
        rest = Duration(static_cast<Duration::rep>(
            client.random.below(static_cast<std::uint64_t>(2 * pause_.count()) + 1)));
    } else {
        client.at = (client.at + 1) % fleet_.size();
    }
    world_.after(rest, [this, &client] { next(client); });
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
