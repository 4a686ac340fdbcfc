#include "frontend/resp/internal/configuration.h"

#include "base/assert.h"

namespace kvstore::resp {

Configuration::Configuration()
    : values_({
          {"save", ""},
          {"appendonly", "no"},
          {"maxmemory", "0"},
          {"maxmemory-policy", "noeviction"},
      }) {}

std::string_view Configuration::value(std::string_view name) const {
    const auto place = values_.find(name);
    KVSTORE_ASSERT(place != values_.end());
    return place->second;
}

void Configuration::set(std::string_view name, std::string_view value) {
    const auto place = values_.find(name);
    KVSTORE_ASSERT(place != values_.end());
    place->second = value;
}

}  // namespace kvstore::resp
