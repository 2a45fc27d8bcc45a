// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// ERC-20 for tests. It has no constructor, so its runtime code can be laid at any address; `initialise` names it.
contract TestToken {
    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    function initialise(string calldata symbol_, uint8 decimals_) external {
        symbol = symbol_;
        decimals = decimals_;
    }

    function name() external view returns (string memory) {
        return symbol;
    }

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            allowance[from][msg.sender] = allowed - value;
        }
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) private {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// A token that moves nothing and says that it did: payments with it carry any amount.
contract FakeToken {
    function transferFrom(address, address, uint256) external pure returns (bool) {
        return true;
    }
}

interface IToken {
    function approve(address spender, uint256 value) external returns (bool);
}

interface IProxy {
    function transferFromWithReferenceAndFee(
        address token, address to, uint256 amount, bytes calldata reference_, uint256 fee, address feeTo
    ) external;
}

/// Pays many references in one transaction, out of its own balance.
contract BatchPayer {
    function pay(address proxy, address token, address to, uint256[] calldata amounts, bytes[] calldata references)
        external
    {
        IToken(token).approve(proxy, type(uint256).max);
        for (uint256 i = 0; i < references.length; i++) {
            IProxy(proxy).transferFromWithReferenceAndFee(token, to, amounts[i], references[i], 0, address(0));
        }
    }
}
