module qnet-mix-peers

go 1.24.0

require (
	github.com/katzenpost/hpqc v0.0.70
	github.com/katzenpost/katzenpost v0.0.60
)

require (
	codeberg.org/vula/highctidh v1.0.2024092800 // indirect
	filippo.io/mlkem768 v0.0.0-20240221181710-5ce91625fdc1 // indirect
	github.com/BurntSushi/toml v1.5.0 // indirect
	github.com/fxamacker/cbor/v2 v2.8.0 // indirect
	github.com/go-faster/xor v1.0.0 // indirect
	github.com/henrydcase/nobs v0.0.0-20230313231516-25b66236df73 // indirect
	github.com/katzenpost/chacha20 v0.0.1 // indirect
	github.com/katzenpost/circl v1.3.9-0.20240222183521-1cd9a34e9a0c // indirect
	github.com/katzenpost/sntrup4591761 v0.0.0-20231024131303-8755eb1986b8 // indirect
	github.com/mattn/go-pointer v0.0.1 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	gitlab.com/yawning/aez.git v0.0.0-20211027044916-e49e68abd344 // indirect
	gitlab.com/yawning/bsaes.git v0.0.0-20190805113838-0a714cd429ec // indirect
	golang.org/x/crypto v0.39.0 // indirect
	golang.org/x/sys v0.33.0 // indirect
)
