// A client on a machine of its own, which speaks to the nodes over the network.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "async/task.h"
#include "env/env.h"
#include "http/client.h"
#include "simulation/internal/attempt.h"
#include "simulation/internal/resp_link.h"

namespace kvstore::simulation::internal {

enum class Protocol : std::uint8_t { kDirect, kResp, kRest };

// Lifetime  Of the run; calls end by their deadline.
// Runs on   Its machine, one call at a time.
class RemoteClient {
public:
    RemoteClient(env::Env& env, Protocol protocol) : env_(env), protocol_(protocol) {}

    // Whether the protocol has such an operation, as far as this client speaks it.
    [[nodiscard]] static bool can(Protocol protocol, history::OperationKind kind);

    async::Task<void> call(env::Address node, std::shared_ptr<Attempt> attempt);

private:
    async::Task<Answer> call_resp(env::Address node, Attempt* attempt);
    async::Task<Answer> call_rest(env::Address node, Attempt* attempt);

    env::Env& env_;
    Protocol protocol_;
    std::unique_ptr<RespLink> resp_;
    std::unique_ptr<http::Client> rest_;
};

}  // namespace kvstore::simulation::internal
