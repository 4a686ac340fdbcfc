#include "server/advertised.h"

#include <gtest/gtest.h>

namespace kvstore::server {
namespace {

env::Address address(std::string_view text) {
    return *env::Address::parse(text);
}

class Advertised : public ::testing::Test {
protected:
    [[nodiscard]] std::string peer(std::string_view listening = "0.0.0.0:7070") const {
        return advertised_peer(config_, address(listening)).to_string();
    }

    Config config_;
};

TEST_F(Advertised, IsWhereTheNodeListensUnlessTold) {
    config_.peer_addr = address("10.0.0.5:7070");
    EXPECT_EQ(peer("10.0.0.5:7070"), "10.0.0.5:7070");

    config_.peer_addr.port = 0;
    EXPECT_EQ(peer("10.0.0.5:4711"), "10.0.0.5:4711");
}

TEST_F(Advertised, IsWhatItIsToldOverWhereItListens) {
    config_.peer_addr = address("0.0.0.0:7070");
    config_.advertise = address("db1.example.org:17070");
    EXPECT_EQ(peer(), "db1.example.org:17070");

    config_.advertise.port = 0;
    EXPECT_EQ(peer("0.0.0.0:4711"), "db1.example.org:4711");
}

TEST_F(Advertised, OnEveryInterfaceIsUnderTheNameOfTheInitialCluster) {
    config_.id = "n2";
    config_.initial_cluster = "n1=kv-1:7070,n2=kv-2:7070";
    for (const char* any : {"0.0.0.0:7070", ":7070", "[::]:7070"}) {
        config_.peer_addr = address(any);
        EXPECT_EQ(peer(any), "kv-2:7070") << any;
    }
    config_.advertise = address("10.0.0.2:7070");
    EXPECT_EQ(peer(), "10.0.0.2:7070");
}

TEST_F(Advertised, OnEveryInterfaceAndUnderNoNameStaysWhatItIs) {
    config_.peer_addr = address("0.0.0.0:7070");
    EXPECT_EQ(peer(), "0.0.0.0:7070");
}

TEST_F(Advertised, ToClientsIsTheHostThatPeersUseWhereEveryInterfaceIsListenedOn) {
    const env::Address kv1 = address("kv-1:7070");
    const env::Address unset;
    EXPECT_EQ(advertised_to_clients(unset, address("0.0.0.0:8080"), kv1).to_string(), "kv-1:8080");
    EXPECT_EQ(advertised_to_clients(unset, address("127.0.0.1:8080"), kv1).to_string(),
              "127.0.0.1:8080");
    EXPECT_EQ(advertised_to_clients(address("kv.example.org:80"), address("0.0.0.0:8080"), kv1)
                  .to_string(),
              "kv.example.org:80");
    EXPECT_EQ(advertised_to_clients(address("kv.example.org:0"), address("0.0.0.0:8080"), kv1)
                  .to_string(),
              "kv.example.org:8080");
}

}  // namespace
}  // namespace kvstore::server
