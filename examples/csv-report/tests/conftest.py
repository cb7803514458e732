pytest_plugins = ["nightferry.testing.fixtures"]
