from node.client.watch.anonymity import anonymity


def test_few_users_are_warned_about():
    said = anonymity(12, 1000)
    assert said["anonymity"] == "small"
    assert said["warning"] == "about 12 active users now; below the 1000 this network aims for"


def test_enough_users_are_not():
    assert anonymity(1000, 1000) == {"users": 1000, "anonymity": "ok", "warning": ""}
