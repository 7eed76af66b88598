import { Injectable, type CanActivate } from '@nestjs/common';
import { Tenant } from './tenant.js';

const TENANTS = ['acme', 'globex'];

/** Lets nobody in whom we do not know. */
@Injectable()
export class TenantGuard implements CanActivate {
  constructor(private readonly tenant: Tenant) {}

  canActivate(): boolean {
    return TENANTS.includes(this.tenant.name);
  }
}
