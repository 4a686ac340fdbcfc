// The scripts about majorities and about steps of configurations, which need no members.
#pragma once

#include <cstdint>
#include <string>

#include "data_driven.h"
#include "raft/configuration.h"

namespace kvstore::raft::conformance {

[[nodiscard]] std::string run_quorum_directive(const Directive& directive);

class ConfigurationScript {
public:
    std::string handle(const Directive& directive);

private:
    raft::Membership membership_;
    std::uint64_t commands_ = 0;
};

}  // namespace kvstore::raft::conformance
